# SPDX-License-Identifier: Apache-2.0
# The test of If-Match for one route, for t/35-routes.t.
package LearnHub::Conditional;

use strict;
use warnings;

use Exporter qw(import);

use LearnHub::Test;

our @EXPORT = qw(if_match_holds);

# Changes of the object of a path by somebody else; the parameter is its id, or that of the caller.
my %change = (
    '/auth/users/me/' => "UPDATE learnhub.users SET username = md5(username) WHERE id = ?",
    '/myprofile/' => "UPDATE learnhub.users SET first_name = first_name || 'x' WHERE id = ?",
    '/problems/{id:oid}' => "UPDATE learnhub.problems SET title = title || 'x' WHERE id = decode(?, 'hex')",
    '/submissions/{id:oid}' => "UPDATE learnhub.submissions SET score = score + 1 WHERE id = decode(?, 'hex')",
    '/sessions/{id:oid}' =>
        "UPDATE learnhub.practice_sessions SET time_spent = time_spent + 1 WHERE id = decode(?, 'hex')",
    '/api/sessions/{id:int}/' => "UPDATE learnhub.tutoring_sessions SET title = title || 'x' WHERE id = ?",
    '/sessionrequest/{id:int}/' => "UPDATE learnhub.users SET first_name = first_name || 'x'
        WHERE id = (SELECT mentor_id FROM learnhub.mentoring_sessions WHERE id = ?)",
    '/notificationsettings/{id:int}/' => 'INSERT INTO learnhub.notification_settings AS n (user_id, sixty_minute_alert)
        VALUES (?, true) ON CONFLICT (user_id) DO UPDATE SET sixty_minute_alert = NOT n.sixty_minute_alert',
    '/api/codingsessions/{id:int}/' =>
        "UPDATE learnhub.coding_sessions SET session_name = session_name || 'x' WHERE id = ?",
    '/api/profiles/me/' => "INSERT INTO learnhub.coding_profiles (user_id, github_username) VALUES (?, 'x')
        ON CONFLICT (user_id) DO UPDATE SET github_username = 'x'",
    '/api/v1/activities/{id:uuid}/' => "UPDATE learnhub.activities SET name = name || 'x' WHERE id = ?",
    '/api/v1/sessions/{id:text}/' => 'UPDATE learnhub.xp_sessions SET xp_total = xp_total + 1 WHERE id = ?',
    '/api/v1/goals/{id:uuid}/' => "UPDATE learnhub.goals SET title = title || 'x' WHERE id = ?",
);

# if_match_holds($route, $path, $id, %with): tests that the PUT, PATCH or DELETE with If-Match succeeds only if GET of
# the path would return the ETag. `%with` makes a valid request of api().
sub if_match_holds {
    my ($route, $path, $id, %with) = @_;
    my $get = sub { api(GET => $path, token => $with{token})->header('ETag') };
    my $write = sub { api($route->{method} => $path, %with, headers => { 'If-Match' => $_[0] }) };
    if (!$get->()) { # PUT creates the object
        is_error($write->($_), $route->{format}, 412, "$route->{name}: 412 without an object: $_") for '"x"', '*';
        is(api(GET => $path, token => $with{token})->status, 404, "$route->{name}: it was not created");
        is(api($route->{method} => $path, %with)->status, $route->{status}, "$route->{name}: without If-Match it is");
    }
    my $old = $get->();
    my $me = api(GET => '/auth/users/me/', token => $with{token})->json->{id};
    sql($change{ $route->{path} }, $id // $me);
    my $new = eventually(sub { my $etag = $get->(); $etag ne $old && $etag }) // $old; # GET may be cached for a second
    isnt($new, $old, "$route->{name}: the change of somebody else changes the ETag");
    for my $header ($old, "W/$new", '"x"', '', $new =~ s/"$//r) {
        is_error($write->($header), $route->{format}, 412, qr/has changed since/, "$route->{name}: 412 for $header");
    }
    is($get->(), $new, "$route->{name}: nothing was changed");
    return is($write->("$old, $new")->status, $route->{status}, "$route->{name}: the current ETag succeeds");
}

1;
