# SPDX-License-Identifier: Apache-2.0
# Ids of the users that signup() creates.
package LearnHub::Users;

use strict;
use warnings;

use Exporter qw(import);

use LearnHub::Test;

our @EXPORT = qw(user_id);

# The numeric id of a user of signup(), stored in the user's hash at the first call.
sub user_id { my ($user) = @_; return $user->{user_id} ||= user($user->{email})->{id} }

1;
