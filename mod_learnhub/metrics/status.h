/* SPDX-License-Identifier: Apache-2.0 */
/* The section LearnHub of mod_status, as HTML and as the lines of ?auto, whose names do not change. */
#ifndef LH_STATUS_H
#define LH_STATUS_H

/* Registers the section. Without mod_status it has no effect. */
void lh_status_hooks(void);

#endif
