# SPDX-License-Identifier: Apache-2.0
# Requests of the account routes. Each function returns a LearnHub::Reply; %with is passed to api().
package LearnHub::Account;

use strict;
use warnings;

use Exporter qw(import);

use LearnHub::Test;

our @EXPORT = qw(log_in token_login refresh get_me is_unauthorized post_links);

# A login that returns JWTs. The name is a username or an e-mail address.
sub log_in {
    my ($name, $password, %with) = @_;
    return api(POST => '/users/login', form => { username => $name, password => $password }, %with);
}

# A login that returns an opaque token.
sub token_login {
    my ($name, $password, %with) = @_;
    return api(POST => '/auth/token/login/', json => { username => $name, password => $password }, %with);
}

# Exchanges a refresh token for an access token.
sub refresh {
    my ($token, %with) = @_;
    return api(POST => '/users/refresh', json => { refresh_token => $token }, %with);
}

# Lets the job post the mails with the links that were requested so far; true if it has.
sub post_links {
    return eventually(sub {
            sql('SELECT learnhub.post_requested_mails()');
            return !sql('SELECT 1 FROM learnhub.mail_requests WHERE NOT posted');
    });
}

# The caller's account. $user: as for api_as().
sub get_me { my ($user, %with) = @_; return api_as($user, GET => '/users/me', %with) }

# is_unauthorized($reply, $challenge, $name): 401 of /users/me with exactly this WWW-Authenticate header.
sub is_unauthorized {
    my ($reply, $challenge, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $body = $reply->json;
    return is_deeply([$reply->status, $reply->header('WWW-Authenticate'), ref $body eq 'HASH' ? keys %$body : $body],
        [401, $challenge, 'detail'], $name) || diag($reply->summary);
}

1;
