/* SPDX-License-Identifier: Apache-2.0 */
/* The stylesheet of the pages that need no file: light and dark, from the width of a phone on. */
#ifndef LH_STYLE_H
#define LH_STYLE_H

extern const char lh_style[];

#endif
