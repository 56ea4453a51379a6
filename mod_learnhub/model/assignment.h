/* SPDX-License-Identifier: Apache-2.0 */
/* The problem of a practice session, as the steps of model/ read it. */
#ifndef LH_ASSIGNMENT_H
#define LH_ASSIGNMENT_H

#include "http/call.h"
#include "model/evaluation.h"

#define LH_ASSIGNMENT_COLUMNS "_title _description _requirements _constraints"

/* Reads the columns LH_ASSIGNMENT_COLUMNS of the statement that ran last. */
lh_assignment lh_assignment_read(const lh_call *call);

#endif
