// SPDX-License-Identifier: Apache-2.0
/** Names of network interfaces, as the kernel takes them. */

/** Whether a text can be the name of a network interface (`dev_valid_name`, net/core/dev.c). */
export const isInterfaceName = (name: string): boolean =>
  name !== '' && name !== '.' && name !== '..' && Buffer.byteLength(name) <= 15 && !/[/:\s\0]/.test(name);
