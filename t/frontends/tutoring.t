# SPDX-License-Identifier: Apache-2.0
# The front end of tutoring in Chromium.
use strict;
use warnings;

use LearnHub::Frontend;
use LearnHub::Test;

frontend('tutoring', directives => 'LearnHubSignupRoles student instructor', answers => { name => \&unique });

done_testing;
