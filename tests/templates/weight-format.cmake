# SPDX-License-Identifier: GPL-3.0-only
# A box file gives the logits of its safetensors twin, bit by bit, and is a checkpoint for every command.
set(plugins --plugin-dir "${PLUGIN_DIR}")
set(fixture "${TEMPLATE}/fixture/tiny.box")
set(twin "${SOURCE_DIR}/tests/goldens/lm/llama-default/hf")
run("rlx-plugin-check" "${PREFIX}/bin/rlx-plugin-check" "${PLUGIN_DIR}/rlx-box.so")
foreach(weights fixture twin)
  run("logits of the ${weights}" "${RLX_RUN}" logits --weights "${${weights}}" ${plugins} --prompt-ids 1,5,9,33,2,77
    --compute f32 --out "${WORK}/${weights}.npy")
  file(SHA256 "${WORK}/${weights}.npy" of_${weights})
endforeach()
if(NOT of_fixture STREQUAL of_twin)
  message(FATAL_ERROR "the box file's logits differ from those of its safetensors twin")
endif()
run("inspect" "${RLX_RUN}" inspect "${fixture}" ${plugins} --json)
expect("inspect" "${output}" "\"format\": \"box\"")
expect("inspect" "${output}" "\"arch\": \"box-llama\"")
run("check" "${RLX_RUN}" check "${fixture}" ${plugins})

run("list-formats" "${RLX_RUN}" inspect --list-formats ${plugins})
expect("list-formats" "${output}" "box +.box .plugin com.example.box")
set(ENV{RLX_PLUGIN_PATH} "${PLUGIN_DIR}")
run("resolve" "${RLX_RUN}" inspect resolve tiny --root "${TEMPLATE}/fixture" --source extra)
expect("resolve" "${output}" "tiny.box")
set(ENV{RLX_PLUGIN_PATH} "")

# By magic, whatever the name; as the lone file of a directory; not without the plugin.
file(COPY_FILE "${fixture}" "${WORK}/model.bin")
run("check by magic" "${RLX_RUN}" check "${WORK}/model.bin" ${plugins})
file(MAKE_DIRECTORY "${WORK}/alone")
file(COPY_FILE "${fixture}" "${WORK}/alone/tiny.box")
run("check of a directory" "${RLX_RUN}" check "${WORK}/alone" ${plugins})
run_failing("without the plugin" 4 "${RLX_RUN}" check "${fixture}")
expect("the error" "${errors}" "no plugin reads it")

# A truncated file says where it ends; a second plugin for the format is named.
file(WRITE "${WORK}/cut.box" "RLXBOX1\n1234")
run_failing("a truncated file" 3 "${RLX_RUN}" check "${WORK}/cut.box" ${plugins})
expect("the error" "${errors}" "cut.box: the file ends inside entry 0 of its head")
file(MAKE_DIRECTORY "${WORK}/second")
file(READ "${TEMPLATE}/plugin.json" manifest)
string(REPLACE "com.example.box" "com.example.crate" manifest "${manifest}")
string(REPLACE "\"name\": \"box\"" "\"name\": \"crate\"" manifest "${manifest}")
file(WRITE "${WORK}/second/plugin.json" "${manifest}")
file(COPY "${TEMPLATE}/CMakeLists.txt" "${TEMPLATE}/box.cpp" "${TEMPLATE}/box.hpp" DESTINATION "${WORK}/second")
file(READ "${WORK}/second/CMakeLists.txt" lists)
string(REPLACE "rlx-box" "rlx-crate" lists "${lists}")
file(WRITE "${WORK}/second/CMakeLists.txt" "${lists}")
run("configuring the second plugin" "${CMAKE_COMMAND}" -S "${WORK}/second" -B "${WORK}/second/build" -G Ninja
  "-DCMAKE_PREFIX_PATH=${PREFIX}" "-DCMAKE_C_COMPILER=${CC}" "-DCMAKE_CXX_COMPILER=${CXX}" "-DCMAKE_CXX_FLAGS=${extra} ${FLAGS}")
run("building the second plugin" "${CMAKE_COMMAND}" --build "${WORK}/second/build")
run_failing("two plugins for one format" 2 "${RLX_RUN}" check "${fixture}" ${plugins}
  --plugin-dir "${WORK}/second/build/lib/rlx/plugins")
expect("the error" "${errors}" "claimed with equal priority 100 by com.example.(box|crate) .* and com.example.(box|crate)")
