/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LAMPO_CLI_VERSION_H
#define LAMPO_CLI_VERSION_H

#define LAMPO_VERSION "0.1.0"

#endif
