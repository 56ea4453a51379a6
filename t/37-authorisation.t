# SPDX-License-Identifier: Apache-2.0
# Authorisation of every route in the route table, with the requests of t/lib/LearnHub/Cases.pm. Each is sent with
# invalid tokens, by users of roles that may not call the route, and by users who do not own the object. They must be
# rejected, see nothing of the object and change no row; the owner's request must succeed. What is not private is listed
# here with a reason, so a new route fails until other users are rejected or it is listed.
use strict;
use warnings;

use Digest::SHA qw(hmac_sha256);
use MIME::Base64 qw(decode_base64url encode_base64url);

use LearnHub::Account;
use LearnHub::Cases qw(:DEFAULT $marker $marked_time ended focus link_of confirmation_of);
use LearnHub::Routes;
use LearnHub::Test;

create_callers();
my @routes = @{ LearnHub::Routes::table()->{routes} };
my %route = map { $_->{name} => $_ } @routes;

# ---- what is not private, and why ----

sub each_of { my ($reason, @names) = @_; return map { $_ => $reason } @names }

# Routes without authentication.
my %public = (
    each_of('creates an account',
        qw(users.signup auth.register tutoring_login.register coding_users.register xp_login.register)),
    each_of('checks the password',
        qw(users.login auth.login tutoring_login.login coding_token.login xp_login.login)),
    each_of('checks the token in the body', qw(users.refresh tutoring_login.refresh coding_token.refresh
            xp_login.refresh coding_token.verify auth.reset_password_confirm auth.activation)),
    each_of('problems are public', qw(problems.list problems.search problems.get)),
    each_of('the name of a photo is random', qw(profile.photo activities.photo coding_profile.photo)),
    each_of('mails the owner of the address', qw(auth.reset_password auth.resend_activation)),
    'leaderboard.friends' => 'shows those who chose to be on it',
    each_of('for monitoring', qw(service.index service.health)),
    each_of('describes the APIs', qw(service.openapi service.docs service.docs_plain)),
    'service.docs_file' => 'a file of the page that describes the APIs',
);

# Routes that only some roles may call. All others are for every role.
my %restricted = (
    each_of('admin',
        qw(admin.users admin.user admin.audit rewards.create rewards.change xp.new_activity xp.change_activity)),
    'tutoring.create' => 'admin instructor',
);

# Routes whose path refers to an object that every user of the route's roles may use.
my %open = (
    'problems.get' => 'problems are public',
    each_of('the name of a photo is random', qw(profile.photo activities.photo coding_profile.photo)),
    each_of('members see and join all tutoring sessions', qw(tutoring.get tutoring.participants tutoring.join)),
    'mentors.by_skills' => 'the directory of mentors is for all members',
    each_of('the id is that of a public problem; users get what they made for it',
        qw(sessions.by_problem submissions.by_problem reviews.submissions)),
    'xp.activity' => 'the catalogue is for all members',
    each_of('admins maintain the catalogues', qw(rewards.change xp.change_activity)),
    'admin.user' => 'admins manage all accounts',
);

# Roles that may use private objects of all users, by route, or by route and field.
my %trusted = (
    each_of('admin', qw(coding.list eco.list eco.get eco.verify eco.reject availabilty.delete availability.delete)),
    each_of('admin service', qw(xp.session xp.end), 'xp.register user_id', 'xp.end user_id', 'xp.rates goal_id'),
);

# The statuses for other users. Default: 403 or 404.
my %answer = ('tutoring.leave' => 400); # who has not joined

# The id in the path, where the case uses one that does not exist yet.
my %existing = ('xp.end' => sub { (ended())[0] });

my @ids = (@{ user($caller{student}{email}) }{qw(id uuid)}, $caller{student}{id}); # of one user, in all forms

# Fields of queries and bodies that refer to an object. For private objects a function that returns the changes of the
# case's body, with which other users must be rejected. For others the reason.
my %reference = (
    each_of('the token itself is the right to use it', 'auth.reset_password_confirm token', 'auth.activation token',
        'coding_token.verify token',
        'users.refresh refresh_token', 'tutoring_login.refresh refresh', 'coding_token.refresh refresh',
        'xp_login.refresh refresh'),
    each_of('problems are public', 'sessions.create problem_id', 'submissions.create problem_id'),
    each_of('members see all tutoring sessions and mentors', 'tutoring.list creator', 'availabilty.list mentor',
        'availability.list mentor'),
    'session.request mentor_availability' => 'members book the hours that mentors offer',
    'activities.create activity' => 'a word',
    'admin.audit user' => 'admins read the audit log',
    each_of('the catalogues are for all members', 'rewards.redeem reward_id', 'xp.rates activity_id',
        'xp.register activity_id'),
    'auth.reset_password_confirm uid' => sub {
        my %link = link_of(signup());
        return { token => $link{token} };
    },
    'auth.activation uid' => sub {
        my %link = confirmation_of(signup());
        return { token => $link{token} };
    },
    'xp.rates goal_id' => sub { {} },
    'xp.register goal_id' => sub { {} },
    'xp.register session_id' => sub { { session_id => (ended())[0], goal_id => undef } },
    'xp.register user_id' => sub { map { { user_id => $_, goal_id => undef } } @ids },
    'xp.end user_id' => sub { map { { user_id => $_ } } @ids },
);

# Keys that users cannot set, with values that no row has.
my $number = 7_000_000_000_000 + int rand 1_000_000_000;
my $text = unique('taken');
my $time = '2001-02-03T04:05:06Z';
my %read_only = (
    (map { $_ => $number } qw(id pk user_id user uuid owner creator created_by mentor mentee mentor_id mentee_id
            token_version credits credits_awarded points point_parts points_to_unlock xp_total life_level seats)),
    (map { $_ => $text } qw(status password_hash verification diagram_hash)),
    (map { $_ => true } qw(is_admin is_staff is_superuser)),
    (map { $_ => $time } qw(created_at updated_at verified_at ended_at deleted_at)),
    role => 'admin',
    is_active => false,
);

# Keys that are read-only elsewhere, but fields of a route, and why users may set them.
my %settable = (
    'tutoring_login.register role' => 'one of LearnHubSignupRoles',
    each_of('admins manage accounts and rewards', 'admin.user role', 'admin.user is_active', 'rewards.create is_active',
        'rewards.change is_active'),
    each_of('the speaker in a chat', 'submissions.chat role', 'sessions.chat role'),
    each_of('the state of the own object', map {"$_ status"} qw(submissions.create submissions.update xp.new_goal
            xp.change_goal xp.register xp.end session.change)),
    each_of('clients measure focus sessions', 'xp.end ended_at', 'xp.end xp_total'),
    each_of('see %reference', 'xp.register user_id', 'xp.end user_id'),
);

subtest 'the lists of this file describe the route table' => sub {
    my @all = sort keys %role_bit;
    my %roles = map { my $route = $_; ($_->{name} => join ' ', grep { $route->{roles} & $role_bit{$_} } @all) } @routes;
    is_deeply([grep { !$roles{$_} } sort keys %roles], [sort keys %public], 'the routes without authentication');
    my %some = map { $roles{$_} && $roles{$_} ne "@all" ? ($_ => $roles{$_}) : () } keys %roles;
    is_deeply(\%some, \%restricted, 'the routes for some roles');
    is_deeply([grep { ($route{$_} || { path => '' })->{path} !~ /\{/ } sort keys %open], [], 'open objects have an id');
    my @fields = map { my $name = $_->{name}; map {"$name $_->{name}"} references($_) } @routes;
    is_deeply([sort @fields], [sort keys %reference], 'the fields that refer to objects');
    my @declared = map { my $route = $_; map { [$route->{name}, $_->{name}] } @{ $route->{body} } } @routes;
    my @settable = map {"@$_"} grep { exists $read_only{ $_->[1] } } @declared;
    is_deeply([sort @settable], [sort keys %settable], 'the fields with names of read-only keys');
    my %known = map { $_ => 1 } keys %route, keys %reference;
    is_deeply([grep { !$known{$_} } sort keys %trusted, keys %answer, keys %existing], [], 'every other entry is used');
};

# The fields of a route that refer to objects: by type, by name, or because a statement compares them with an id.
sub references {
    my ($route) = @_;
    my %compared;
    my @sets = map { grep {defined} @$_{qw(count page deep)} } @{ $route->{sets} };
    for my $statement (@{ $route->{sql} }, @{ $route->{extra_sql} }, @sets) {
        my $key = qr/(?:\w+\.)?(?:id|\w+_id|uuid)\b/;
        my @numbers = ($statement->{sql} =~ /\b$key\s*(?:=|<>|IN)\s*\(?(?:decode\()?\$(\d+)/g,
            $statement->{sql} =~ /\$(\d+)(?:::\w+)?\s*(?:=|<>|(?:NOT )?IN)\s*\(?$key/g,
            $statement->{sql} =~ /\buser_shown_as\(\$(\d+)/g);
        $compared{ $statement->{parameters}[$_ - 1] } = 1 for @numbers;
    }
    my $noun = qr/(?:^|[_.])(?:id|uid|user|owner|creator|mentor|mentee|goal|activity|problem|session|reward|availability
        |account|token|refresh)$/x;
    return grep {
        $_->{type} =~ /^(?:oid|uuid)$/ || $compared{ $_->{name} =~ tr/./_/r }
            || ($_->{type} =~ /^(?:string|integer)$/ && grep { defined && $_ =~ $noun } @$_{qw(name alias)})
    } @{ $route->{query} }, @{ $route->{body} };
}

# ---- tokens that are not valid ----

my $json = JSON::XS->new->canonical;
my $admin = signup(role => 'admin');
my %other = map { $_ => signup(role => $_) } keys %role_bit;

sub opaque_of { my ($user) = @_; return 'Token ' . token_login(@$user{qw(email password)})->json->{auth_token} }

# The tokens of users who logged out, were deactivated or deleted.
my %dead = (refresh => $caller{student}{refresh});
subtest 'the tokens of this file were valid' => sub {
    my %user = map { $_ => signup() } qw(logged_out deactivated deleted);
    for my $name (sort keys %user) {
        @dead{ $name, "opaque $name" } = ($user{$name}{token}, opaque_of($user{$name}));
        is(get_me($dead{$_})->status, 200, "$_: the token is accepted before") for $name, "opaque $name";
    }
    is(api_as($dead{$_}, POST => '/auth/token/logout/')->status, 204, "$_: logout")
        for 'logged_out', 'opaque logged_out';
    my $id = user($user{deactivated}{email})->{id};
    is(api_as($admin, PATCH => "/api/admin/users/$id/", json => { is_active => false })->status, 200, 'deactivation');
    is(api_as($user{deleted}, DELETE => '/auth/users/me/', json => { current_password => $user{deleted}{password} })
            ->status, 204, 'deletion');
};

# Forgeries of a JWT: {name => token}.
sub forged {
    my ($token) = @_;
    my ($head, $payload, $signature) = split /\./, $token;
    my $claims = $json->decode(decode_base64url($payload));
    my $encoded = sub { encode_base64url($json->encode({ %$claims, @_ })) };
    my $signed = sub { "$_[0]." . encode_base64url(hmac_sha256($_[0], $_[1])) };
    return (
        expired => $signed->("$head." . $encoded->(iat => time - 90000, exp => time - 1), $jwt_secret),
        'other key' => $signed->("$head.$payload", 'another key, which is long enough as well'),
        'empty key' => $signed->("$head.$payload", ''),
        'alg none' => encode_base64url('{"alg":"none","typ":"JWT"}') . ".$payload.",
        'changed payload' => "$head." . $encoded->(role => 'admin', x => 1) . ".$signature",
    );
}

# ---- the database ----

# Tables that requests may change although they are rejected, and that jobs change: counts, logs, times of the last use.
my %volatile = map { $_ => 1 }
    qw(audit_log auth_events changes changes_pruned known_networks login_failures logins);
my @tables = grep { !$volatile{$_} }
    map { $_->{tablename} } sql("SELECT tablename FROM pg_tables WHERE schemaname = 'learnhub'");

# {table => text}: a text differs after any row of the table was inserted, updated or deleted.
sub state_of_rows {
    my @counts = map {"SELECT '$_' AS name, concat(count(*), ' ', sum(xmin::text::bigint)) AS rows FROM learnhub.$_"}
        @tables;
    return { map { $_->{name} => $_->{rows} } sql(join ' UNION ALL ', @counts) };
}

# Waits until the jobs have done what earlier requests have left to them.
sub finish_jobs {
    post_links() or die 'mails are waiting';
    eventually(sub { !sql('SELECT 1 FROM learnhub.erasures') }) or die 'deleted accounts are waiting';
    return;
}

# ---- requests of others ----

# Whether a reply rejects a request with one of these statuses and shows nothing; the summary of any other reply is
# added to @$wrong.
sub expect {
    my ($wrong, $who, $reply, @statuses) = @_;
    my $shown = shows_marker($reply) || defined $reply->header('ETag');
    push @$wrong, "$who: " . $reply->summary if $shown || !grep { $reply->status == $_ } @statuses;
    return;
}

sub shows_marker { my ($reply) = @_; return $reply->response->as_string =~ /\Q$marker\E|$marked_time/ }

sub is_trusted { my ($name, $role) = @_; return ($trusted{$name} // '') =~ /\b$role\b/ }

sub none { my ($wrong, $name) = @_; return ok(!@$wrong, $name) || diag(join "\n", @$wrong) }

# Without a valid token the request is answered with 401. All are sent at once on one connection.
sub test_tokens {
    my ($route, $path, %with) = @_;
    my $mine = ($with{token} // '') =~ /\./ ? $with{token} : $caller{student}{token};
    my %invalid = ('no token' => undef, %dead, forged($mine));
    my @names = sort keys %invalid;
    my @requests = map { LearnHub::Test::request($route->{method} => $path, %with, token => $_) } @invalid{@names};
    for my $request (@requests) {
        $request->protocol('HTTP/1.1');
        $request->header(Host => 'localhost');
    }
    my $replies = raw_http(join '', map { $_->as_string("\r\n") } @requests);
    my @statuses = $replies =~ m{HTTP/1\.1 (\d\d\d) }g;
    is_deeply({ map { $names[$_] => $statuses[$_] } 0 .. $#names }, { map { $_ => 401 } @names },
        '401 without a token and with invalid ones');
    return unlike($replies, qr/\Q$marker\E|$marked_time/, 'these responses show nothing of the object');
}

# The request by users of each role: 403 for other roles than the route's, a rejection of all who do not own the object.
sub test_others {
    my ($route, $path, %with) = @_;
    my $name = $route->{name};
    my $private = $route->{path} =~ /\{/ && !$open{$name};
    my @wrong;
    for my $role (sort keys %other) {
        my $send = sub { api($route->{method} => $path, %with, token => $other{$role}{token}, @_) };
        if (!($route->{roles} & $role_bit{$role})) {
            expect(\@wrong, $role, $send->(), 403);
        }
        elsif (is_trusted($name, $role)) {
            next;
        }
        elsif ($private) {
            my @refusals = $answer{$name} || (403, 404);
            expect(\@wrong, $role, $send->(), @refusals);
            expect(\@wrong, "$role, If-Match", $send->(headers => { 'If-Match' => '*' }), @refusals, 412)
                if $route->{method} !~ /^(?:GET|POST)$/;
        }
        elsif ($route->{method} eq 'GET') {
            my $reply = $send->();
            push @wrong, "$role: " . $reply->summary if $reply->status !~ /^[24]/ || shows_marker($reply);
        }
    }
    return none(\@wrong, 'other users are rejected and see nothing of it');
}

# ---- read-only keys ----

# The request with the read-only keys that are not fields of the route. Forms have text only.
sub with_read_only_keys {
    my ($route, %with) = @_;
    my %declared = map { $_ => 1 } map { ($_->{name} =~ s/\..*//r, $_->{alias} // ()) } @{ $route->{body} };
    my %more = map { $_ => $read_only{$_} } grep { !$declared{$_} } keys %read_only;
    my $body = $with{json} || $with{form};
    return (%with, json => [{ %{ $body->[0] }, %more }]) if ref $body eq 'ARRAY';
    return (%with, $with{json} ? (json => { %$body, %more }) : (form => { %$body, %more }));
}

# Users with a role, and users who are not active.
sub privileged {
    return [map {"$_->{id} $_->{role} $_->{is_active}"}
            sql("SELECT id, role, is_active FROM learnhub.users WHERE role <> 'student' OR NOT is_active ORDER BY id")];
}

# The rows since a transaction that contain a value of a read-only key.
sub rows_that_took {
    my ($transaction) = @_;
    my $rows = join ' UNION ALL ', map { "SELECT '$_ ' || t::text AS row FROM learnhub.$_ t
        WHERE t.xmin::text::bigint >= (?::bigint & 4294967295) AND t::text ~ ?" } @tables;
    return map { $_->{row} } sql($rows, map { ($transaction, "$number|$text|2001-02-03") } @tables);
}

# The owner's request succeeds. Read-only keys in its body change nothing.
sub test_owner {
    my ($route, $path, %with) = @_;
    my $body = $with{json} || $with{form};
    %with = with_read_only_keys($route, %with) if $body;
    my ($before, $transaction) = (privileged(), (sql('SELECT pg_current_xact_id()::text AS id'))[0]{id});
    my $reply = api($route->{method} => $path, %with);
    is($reply->status, $route->{status}, 'the request of the owner succeeds') || diag($reply->summary);
    return $reply if !$body;
    none([rows_that_took($transaction)], 'no row took a read-only key');
    unlike($reply->body, qr/$number|$text|2001-02-03/, 'the response has none');
    is_deeply(privileged(), $before, 'roles are unchanged') if $route->{name} ne 'auth.delete';
    return $reply;
}

# ---- every route ----

my $shown = 0;
for my $route (@routes) {
    subtest "$route->{name}: $route->{method} $route->{path}" => sub {
        my ($id, %with) = case_of($route);
        my $path = path_of($route, $existing{ $route->{name} } ? $existing{ $route->{name} }->() : $id);
        $shown += shows_marker(test_owner($route, $path, %with)) if $route->{method} eq 'GET';
        if ($route->{roles}) {
            finish_jobs();
            my $before = state_of_rows();
            test_tokens($route, $path, %with);
            test_others($route, $path, %with);
            is_deeply(state_of_rows(), $before, 'rejected requests change no row');
        }
        test_owner($route, $path, %with) if $route->{method} ne 'GET';
    };
}
cmp_ok($shown, '>=', 20, 'the owners of private objects see the text that others must not see');

for my $name (grep { ref $reference{$_} } sort keys %reference) {
    my ($route, $field) = ($route{ $name =~ s/ .*//r }, $name =~ s/.* //r);
    next if !$route; # the first test has failed
    subtest "$route->{name}: another user's object in $field" => sub {
        my ($id, %with) = case_of($route);
        for my $change ($reference{$name}->()) {
            my %sent = (%with, json => { %{ $with{json} }, %$change });
            finish_jobs();
            my ($before, @wrong) = state_of_rows();
            for my $role ($route->{roles} ? sort keys %other : ()) {
                next if is_trusted($name, $role);
                my $reply = api($route->{method} => path_of($route, $id), %sent, token => $other{$role}{token});
                expect(\@wrong, $role, $reply, 400, 403, 404, 409);
            }
            if (!$route->{roles}) {
                expect(\@wrong, 'anyone', api($route->{method} => path_of($route, $id), %sent), 400);
            }
            none(\@wrong, 'other users are rejected');
            is_deeply(state_of_rows(), $before, 'rejected requests change no row');
            next if !$route->{roles};
            my $reply = api($route->{method} => path_of($route, $id), %sent);
            like($reply->status, qr/^20[01]$/, 'the request of the owner succeeds') || diag($reply->summary);
        }
    };
}

subtest 'roles that may use objects of all users' => sub {
    for my $name (sort keys %trusted) {
        my $route = $route{ $name =~ s/ .*//r };
        for my $role (split / /, $trusted{$name}) {
            my ($id, %with) = case_of($route);
            $id = $existing{$name}->() if $existing{$name};
            my ($change) = ref $reference{$name} ? $reference{$name}->() : {};
            $with{json} = { %{ $with{json} }, %$change } if $with{json};
            my $reply = api($route->{method} => path_of($route, $id), %with, token => $other{$role}{token});
            like($reply->status, qr/^20[014]$/, "$name: $role") || diag($reply->summary);
            ok(shows_marker($reply), "$name: $role sees all") if $name =~ /\.(?:list|get)$/;
        }
    }
};

done_testing;
