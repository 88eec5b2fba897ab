// SPDX-License-Identifier: Apache-2.0
//
// Our own SHA-256 (FIPS 180-4). Node exports OpenSSL's symbols, but Electron, built on BoringSSL, does not, and one
// .node file has to run in both. It uses the processor's SHA instructions if there are any.
#ifndef LUO_NATIVE_SHA256_H
#define LUO_NATIVE_SHA256_H

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

class Sha256 {
 public:
  // Whether this processor has the SHA extensions this file uses.
  static bool HaveInstructions();

  // `use_instructions` is ignored where the processor has none.
  explicit Sha256(bool use_instructions = true);

  void Update(const uint8_t* data, size_t length);

  // The digest in lower-case hexadecimal. The object is used up by it.
  std::string Finish();

 private:
  using Compress = void (*)(uint32_t* state, const uint8_t* blocks, size_t count);

  Compress compress_;
  std::array<uint32_t, 8> state_;
  std::array<uint8_t, 64> pending_{};
  size_t pending_length_ = 0;
  uint64_t total_ = 0;
};

#endif
