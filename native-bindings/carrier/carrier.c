// SPDX-License-Identifier: Apache-2.0
/** A placeholder for the carrier: it becomes /sbin/init at once, and carries nothing. */
#include <stdio.h>
#include <unistd.h>

int main(int count, char **words) {
  (void)count;
  words[0] = "/sbin/init";
  execv(words[0], words);
  perror("carrier: /sbin/init");
  return 1;
}
