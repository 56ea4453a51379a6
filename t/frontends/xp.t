# SPDX-License-Identifier: Apache-2.0
# The front end of XP in Chromium.
use strict;
use warnings;

use LearnHub::Frontend;
use LearnHub::Test;

frontend('xp', answers => { name => \&unique });

done_testing;
