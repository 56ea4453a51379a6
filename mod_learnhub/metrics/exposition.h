/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The metrics of this node in the text format of Prometheus, or of OpenMetrics if the client accepts it: the handler
 * `learnhub-metrics`, which the operator sets with SetHandler. conf/OPERATING.md lists all metrics.
 */
#ifndef LH_EXPOSITION_H
#define LH_EXPOSITION_H

#include <httpd.h>

#define LH_EXPOSITION_HANDLER "learnhub-metrics"

/* Registers the handler. */
void lh_exposition_hooks(void);

#endif
