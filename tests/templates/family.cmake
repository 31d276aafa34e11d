# SPDX-License-Identifier: GPL-3.0-only
# template-family generates the text its checkpoint was trained for, in every mode the golden allows.
set(plugins --plugin-dir "${PLUGIN_DIR}")
set(checkpoint "${TEMPLATE}/checkpoint")

# It stands everything a host may do, with and without exceptions.
run("rlx-plugin-check" "${PREFIX}/bin/rlx-plugin-check" "${PLUGIN_DIR}/rlx-pebble.so" --weights "${checkpoint}")
file(READ "${checkpoint}/golden.json" golden)
string(JSON prompt GET "${golden}" prompt)
string(JSON want GET "${golden}" ids)
string(JSON n LENGTH "${golden}" ids)
string(REGEX REPLACE "[ \n\t]" "" want "${want}")

function(expect_golden)
  run("rlx-run auto ${ARGN}" "${RLX_RUN}" auto "${checkpoint}" ${plugins} --prompt "${prompt}" --max-tokens ${n}
    --compute f32 --json ${ARGN})
  string(JSON got GET "${output}" tokens)
  string(REGEX REPLACE "[ \n\t]" "" got "${got}")
  if(NOT got STREQUAL want)
    message(FATAL_ERROR "rlx-run ${ARGN}: ids\n${got}\nexpected\n${want}")
  endif()
  set(output "${output}" PARENT_SCOPE)
endfunction()
expect_golden(--threads 1)
expect("which family ran" "${output}" "\"family\":\"pebble\"")
expect("the text" "${output}" "little fox|who lived in the")
expect("which profile was used" "${output}" "\"profile\":\"preset lm\"")

# The fast kernels may choose other words; they must still speak.
run("fast mode" "${RLX_RUN}" run --weights "${checkpoint}" ${plugins} --prompt "${prompt}" --max-tokens 40 --quiet)
expect("English" "${output}" " the [a-z]+ ")

# Every fusion setting computes the same; the file beside the weights is found by its manifest name.
file(COPY "${checkpoint}/" DESTINATION "${WORK}/ck")
set(checkpoint "${WORK}/ck")
foreach(text "[fusion]\npolicy = \"fusable\"\n" "[fusion]\nskip = true\n" "[fusion]\nassert_clean = true\n"
    "[passes]\ndce = false\nconstant_folding = false\n" "[backend.cpu]\nskip_fusion = true\nunfuse_regions = true\n"
    "[infer]\nmode = \"parity\"\n")
  file(WRITE "${checkpoint}/pebble.rlx.toml" "${text}")
  expect_golden(--threads 2)
  expect("which profile was used" "${output}" "ck/pebble.rlx.toml\"")
endforeach()
run("check" "${RLX_RUN}" check "${checkpoint}" ${plugins})
expect("check names the profile" "${output}" "SUPPORTED.*rlx-pebble.*ck/pebble.rlx.toml")

# What is wrong with a checkpoint or a profile is said with its place.
file(WRITE "${checkpoint}/pebble.rlx.toml" "[fusion]\nskipp = true\n")
run_failing("an unknown key" 3 "${RLX_RUN}" auto "${checkpoint}" ${plugins} --prompt x)
expect("the error" "${errors}" "pebble.rlx.toml:2: unknown key 'fusion.skipp'")
file(WRITE "${checkpoint}/pebble.rlx.toml" "[precision]\ncompute = \"f16\"\n")
run_failing("a type the backend lacks" 4 "${RLX_RUN}" auto "${checkpoint}" ${plugins} --prompt x)
expect("the error" "${errors}" "compute 'f16'.*pebble.rlx.toml:2")
expect_golden(--profile none)
file(REMOVE "${checkpoint}/pebble.rlx.toml")
file(READ "${checkpoint}/config.json" config)
string(REPLACE "relu2" "gelu" config "${config}")
file(WRITE "${checkpoint}/config.json" "${config}")
run_failing("an activation it does not have" 4 "${RLX_RUN}" auto "${checkpoint}" ${plugins} --prompt x)
expect("the error" "${errors}" "hidden_act 'gelu'")
