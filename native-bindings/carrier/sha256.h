// SPDX-License-Identifier: Apache-2.0
/* SHA-256 (FIPS 180-4), for the digest in front of a resume program. */
#ifndef CARRIER_SHA256_H
#define CARRIER_SHA256_H

#include <stddef.h>
#include <stdint.h>

/* The digest of two stretches of memory, one after the other. */
void sha256(const void *first, size_t first_bytes, const void *second, size_t second_bytes, uint8_t digest[32]);

#endif
