/* SPDX-License-Identifier: Apache-2.0 */
/* The monitor's standard streams as the console wants them. */
#ifndef LAMPO_VMM_STREAMS_H
#define LAMPO_VMM_STREAMS_H

/* A descriptor of its own for the standard stream `fd`, which does not block where its kind could:
 * O_NONBLOCK belongs to the open file, which the caller's shell may share, so the file is opened anew
 * where that can be done. -1: the stream is closed. */
int stream_open(int fd);

#endif
