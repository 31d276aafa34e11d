# SPDX-License-Identifier: GPL-3.0-only
# template-backend runs the bundled model and agrees with cpu in exact mode.
set(model "${SOURCE_DIR}/families/qwen3/stories/rlx-stories.gguf")
set(plugins --plugin-dir "${PLUGIN_DIR}")

# It stands everything a host may do, with and without exceptions.
run("rlx-plugin-check" "${PREFIX}/bin/rlx-plugin-check" "${PLUGIN_DIR}/rlx-toy.so")
function(ids out device)
  run("--device ${device}" "${RLX_RUN}" run --weights "${model}" ${plugins} --device ${device} --compute f32
    --prompt "Once upon a time" --max-tokens 24 --json ${ARGN})
  string(JSON tokens GET "${output}" tokens)
  set(${out} "${tokens}" PARENT_SCOPE)
  set(output "${output}" PARENT_SCOPE)
endfunction()
ids(want cpu)
ids(got toy)
if(NOT got STREQUAL want)
  message(FATAL_ERROR "toy generates\n${got}\ncpu\n${want}")
endif()
string(JSON device GET "${output}" ran_on device)
string(JSON tier GET "${output}" ran_on tier)
if(NOT device STREQUAL "toy:0" OR NOT tier STREQUAL "scalar")
  message(FATAL_ERROR "it did not run on toy: ${output}")
endif()

# `auto` still prefers cpu; what toy does not do is refused with its reason.
ids(auto auto)
string(JSON device GET "${output}" ran_on device)
if(NOT device STREQUAL "cpu")
  message(FATAL_ERROR "--device auto took ${device}")
endif()
run_failing("a tier" 4 "${RLX_RUN}" run --weights "${model}" ${plugins} --device toy --tier avx2 --prompt x)
expect("the error" "${errors}" "toy: tier 'avx2'")
# Composites that toy lacks are taken apart for it; where a profile forbids that, the cpu does them whole.
file(WRITE "${WORK}/clean.toml" "[fusion]\nassert_clean = true\n")
ids(clean toy --profile "${WORK}/clean.toml")
if(NOT clean STREQUAL want)
  message(FATAL_ERROR "assert_clean changes the result")
endif()
run_failing("assert_clean and nothing but toy" 4 "${RLX_RUN}" run --weights "${model}" ${plugins} --device toy
  --fallback deny --prompt x --profile "${WORK}/clean.toml")
expect("the error names the nodes" "${errors}" "RmsNorm in model.layers.0[^;]*does not have the op")
file(WRITE "${WORK}/target.toml" "[fusion]\ntarget = \"cpu\"\n[backend.toy]\nskip_fusion = true\n")
run_failing("another backend's rules" 4 "${RLX_RUN}" run --weights "${model}" ${plugins} --device toy --prompt x
  --profile "${WORK}/target.toml")
expect("the error" "${errors}" "target.toml:2: fusion.target is \"cpu\" but the device is 'toy'")
file(WRITE "${WORK}/nodce.toml" "[passes]\ndce = false\n[backend.toy]\nunfuse_regions = true\n")
ids(nodce toy --profile "${WORK}/nodce.toml")
if(NOT nodce STREQUAL want)
  message(FATAL_ERROR "dead nodes change the result")
endif()
