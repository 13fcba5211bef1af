/* How lo_open and lo_creat open a large object. SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef LIBPQ_FS_H
#define LIBPQ_FS_H

#define INV_WRITE 0x00020000
#define INV_READ 0x00040000

#endif
