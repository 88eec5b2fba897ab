// SPDX-License-Identifier: Apache-2.0
//
// Descriptors beside bytes: the SCM_RIGHTS control message, sent and taken apart.
#ifndef LUO_NATIVE_CONTROL_MESSAGE_H
#define LUO_NATIVE_CONTROL_MESSAGE_H

#include <sys/socket.h>

#include <cstring>
#include <vector>

// The kernel's own limit for one message (SCM_MAX_FD, unix(7)).
constexpr size_t kMostDescriptors = 253;

// Room for one SCM_RIGHTS message of kMostDescriptors.
struct ControlBuffer {
  alignas(cmsghdr) char bytes[CMSG_SPACE(sizeof(int) * kMostDescriptors)];

  // Points `message` at this buffer, holding `descriptors` (kMostDescriptors at most); at nothing for an empty list.
  void Attach(msghdr& message, const std::vector<int>& descriptors) {
    if (descriptors.empty()) return;
    const size_t length = descriptors.size() * sizeof(int);
    std::memset(bytes, 0, CMSG_SPACE(length));
    message.msg_control = bytes;
    message.msg_controllen = CMSG_SPACE(length);
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(length);
    std::memcpy(CMSG_DATA(header), descriptors.data(), length);
  }
};

#endif
