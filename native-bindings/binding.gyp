# SPDX-License-Identifier: Apache-2.0
# One file a group; nothing but the C++ compiler, Node's headers and node-addon-api is needed.
{
  "targets": [
    {
      "target_name": "luo_native",
      "sources": [
        "src/addon/addon.cc",
        "src/addon/system_error.cc",
        "src/addon/threads.cc",
        "src/addon/closing.cc",
        "src/addon/live_update.cc",
        "src/addon/memory.cc",
        "src/addon/sha256.cc",
        "src/addon/digest.cc",
        "src/addon/huge_pages.cc",
        "src/addon/program_pages.cc",
        "src/addon/descriptors.cc",
        "src/addon/sockets.cc",
        "src/addon/messages.cc",
        "src/addon/record.cc",
        "src/addon/poll.cc",
        "src/addon/kernel.cc",
        "src/addon/sync.cc",
        "src/addon/service_manager.cc"
      ],
      "include_dirs": ["<!@(node -p \"require('node-addon-api').include_dir\")"],
      "defines": [
        "NAPI_VERSION=9",
        "NODE_ADDON_API_CPP_EXCEPTIONS",
        "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS"
      ],
      "cflags!": ["-fno-exceptions"],
      "cflags_cc!": ["-fno-exceptions", "-fno-rtti", "-std=gnu++17"],
      "cflags_cc": ["-std=gnu++20", "-fvisibility=hidden", "-Wall", "-Wextra"]
    }
  ]
}
