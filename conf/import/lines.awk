# SPDX-License-Identifier: Apache-2.0
# Reads JSON Lines: one object per line, as mongoexport writes them.

BEGIN { start_clock() }

NR == 1 { sub(/^\357\273\277/, "") }

/[^ \t\r]/ { put(NR, copied($0), "") }
