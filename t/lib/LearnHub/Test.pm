# SPDX-License-Identifier: Apache-2.0
# Test::More and functions for all test files: HTTP requests, users, SQL, assertions, concurrency, second servers.
package LearnHub::Test;

use strict;
use warnings;
use utf8;

use Carp qw(croak);
use DBI ();
use Exporter qw(import);
use HTTP::Request::Common ();
use IO::Socket::INET ();
use JSON::XS ();
use LWP::UserAgent ();
use POSIX ();
use Test::More;
use Time::HiRes ();
use URI::Escape ();

use LearnHub::Exchange;
use LearnHub::Reply;
use LearnHub::Server;

our @EXPORT = (
    @Test::More::EXPORT,
    qw(api api_as raw_http port signup user unique role sql database superuser busy_connections keys_of parallel),
    qw(is_error is_invalid expect_log pg second_httpd configtest restart_httpd resident eventually true false $top),
    qw($jwt_secret)
);

our $top = $ENV{LEARNHUB_TOP} || croak 'run the tests with make -f Makefile.apxs test';
our $jwt_secret = 'the secret of the tests, which is long enough';

binmode Test::More->builder->$_, ':utf8' for qw(output failure_output todo_output);

sub true { return JSON::XS::true }
sub false { return JSON::XS::false }

# The port of the test server.
sub port { return $ENV{LEARNHUB_PORT} }

# ---- requests ----

my %agent;

# The user agent of this process for a client address. It keeps connections alive and does not follow redirects.
sub agent {
    my $from = shift // '127.0.0.1';
    delete $agent{$$} if LearnHub::Server->restarted; # the old generation may close its connections at any time
    return $agent{$$}{$from} ||= do {
        my $agent = LWP::UserAgent->new(local_address => $from,
            keep_alive => 4, timeout => 60, max_redirect => 0, parse_head => 0, agent => 'test',
            protocols_allowed => ['http']);
        $agent->add_handler(response_done => sub { LearnHub::Exchange::of_lwp($_[0]); return });
        $agent;
    };
}

# Builds the request of api().
sub request {
    my ($method, $path, %with) = @_;
    my $request = HTTP::Request->new($method => 'http://127.0.0.1:' . ($with{port} || port()) . $path);
    if (exists $with{json}) {
        $request->content_type('application/json');
        $request->content(JSON::XS->new->utf8->canonical->allow_nonref->encode($with{json}));
    }
    elsif ($with{form} || $with{multipart}) {
        my $fields = $with{form} || $with{multipart};
        my $form = HTTP::Request::Common::POST('http://x/', $with{multipart} ? (Content_Type => 'form-data') : (),
            Content => ref $fields eq 'HASH' ? [map { $_ => $fields->{$_} } sort keys %$fields] : $fields);
        $request->header('Content-Type' => $form->header('Content-Type'));
        $request->content($form->content);
    }
    elsif (defined $with{body}) {
        $request->content($with{body});
    }
    $request->header('Content-Length' => length $request->content) if length $request->content;
    $request->header(Authorization => $with{token} =~ / / ? $with{token} : "Bearer $with{token}")
        if defined $with{token};
    $request->header($_ => $with{headers}{$_}) for sort keys %{ $with{headers} || {} };
    return $request;
}

# api(METHOD => '/path', token =>, json =>, form => {}, multipart => [], body => bytes, headers => {}, port =>,
# query => {}, from => '127.0.0.2'): sends a request and returns a LearnHub::Reply. A token with a space is sent as the
# whole Authorization header. `from` is the client's address.
sub api {
    my ($method, $path, %with) = @_;
    if (my $query = $with{query}) {
        my @pairs = map { "$_=" . URI::Escape::uri_escape_utf8($query->{$_}) } sort keys %$query;
        $path .= ($path =~ /\?/ ? '&' : '?') . join '&', @pairs;
    }
    return LearnHub::Reply->new("$method $path", agent($with{from})->request(request($method, $path, %with)));
}

# api_as($user, METHOD => '/path', %with): api() with the token of a user of signup(). $user may also be a token, or
# undef for a request without one.
sub api_as {
    my ($user, $method, $path, %with) = @_;
    my $token = ref $user ? $user->{token} : $user;
    return api($method, $path, defined $token ? (token => $token) : (), %with);
}

# Sends raw bytes and returns everything received, waiting at most `wait` (10) seconds. The client then shuts down its
# sending side, unless keep => 1.
sub raw_http {
    my ($bytes, %with) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $with{port} || port(), Timeout => 10)
        or croak "cannot connect: $@";
    local $SIG{PIPE} = 'IGNORE';
    syswrite $socket, $bytes;
    shutdown $socket, 1 if !$with{keep};
    my ($reply, $until) = ('', Time::HiRes::time() + ($with{wait} || 10));
    while ((my $left = $until - Time::HiRes::time()) > 0) {
        vec(my $ready = '', fileno $socket, 1) = 1;
        last if !select $ready, undef, undef, $left;
        last if !sysread $socket, $reply, 65536, length $reply;
    }
    LearnHub::Exchange::of_bytes($with{port} || port(), $bytes, $reply);
    return $reply;
}

# ---- users ----

my $serial = 0;

# A string that no other test uses: unique('ada') is "ada-1234-1-0".
sub unique { my ($stem) = @_; return join '-', $stem || 'x', $$, time % 100000, $serial++ }

# Signs up a new user and logs in: {id, email, first_name, last_name, password, token, refresh}. With role => 'admin',
# the role is set before the login.
sub signup {
    my (%over) = @_;
    my $role = delete $over{role};
    my %user = (first_name => 'Test', last_name => 'Person', email => unique('user') . '@example.com',
        password => 'a good password', %over);
    my $reply = api(POST => '/users/signup', json => {%user});
    $reply->status == 201 or croak 'signup: ' . $reply->summary;
    role($user{email}, $role) if $role;
    my $login = api(POST => '/users/login', form => { username => $user{email}, password => $user{password} });
    $login->status == 200 or croak 'login: ' . $login->summary;
    my ($id, $token, $refresh) = ($reply->json->{user}{id}, @{ $login->json }{qw(access_token refresh_token)});
    return { %user, id => $id, token => $token, refresh => $refresh };
}

# Sets a user's role through the operator's SQL function.
sub role { my ($email, $role) = @_; return sql('SELECT learnhub.set_role(?, ?)', $email, $role) }

# A user's database row: {id, ...}.
sub user { my ($email) = @_; return (sql('SELECT * FROM learnhub.users WHERE email = ?', $email))[0] }

# ---- the database ----

my %handle;

# This process's DBI handle of a database user; reconnects after a restart of PostgreSQL.
sub handle_as {
    my ($user) = @_;
    my $handle = \$handle{"$$ $user"};
    return $$handle if $$handle && $$handle->ping;
    my $source = $ENV{LEARNHUB_OWNER} =~ s/user=\w+/user=$user/r;
    return $$handle = DBI->connect('dbi:Pg:' . join(';', split ' ', $source), '', '',
        { RaiseError => 1, PrintError => 0, PrintWarn => 0, AutoInactiveDestroy => 1, pg_enable_utf8 => 1 });
}

sub database { return handle_as('learnhub_owner') }
sub superuser { return handle_as('postgres') } # sees what the sessions of other users do

# The number of database connections with an application_name that execute statements or are in transactions.
sub busy_connections {
    my ($application) = @_;
    return superuser()->selectrow_array("SELECT count(*) FROM pg_stat_activity WHERE application_name = ?
        AND state <> 'idle'", {}, $application);
}

# Runs a statement as the schema's owner and returns the rows as a list of hashes.
sub sql {
    my ($statement, @values) = @_;
    my $query = database()->prepare($statement);
    $query->execute(@values);
    return $query->{NUM_OF_FIELDS} ? @{ $query->fetchall_arrayref({}) } : ();
}

# pg('stop', '-m', 'immediate'), pg('start'): stops or starts the tests' PostgreSQL.
sub pg {
    my ($command, @mode) = @_;
    my $mode = @mode ? $mode[-1] : '';
    system("'$top/conf/quickstart/database' $command $mode >/dev/null 2>&1") == 0 or croak "pg $command failed";
    return 1;
}

# ---- assertions ----

sub keys_of { my ($hash) = @_; return [sort keys %$hash] }

# The error formats of the APIs: detail {"detail": "..."}, located (the same; validation errors are a list with `loc`),
# flat {"error": "..."}, envelope {"success": false, "data": {...}}, list {"detail": "..."} (400: ["field: ...", ...]).

# The sentence of an error response, or undef if the body has another format.
my %sentence = (
    detail => sub { only($_[0], 'detail') },
    located => sub { only($_[0], 'detail') },
    flat => sub { only($_[0], 'error') },
    envelope => sub { wrapped($_[0]) && only($_[0]{data}, 'detail') },
    list => sub { ref $_[0] eq 'ARRAY' ? @{ $_[0] } == 1 && $_[0][0] : only($_[0], 'detail') },
);

# The rejected fields of a validation error: {field => sentence}, or undef.
my %fields = (
    detail => sub { lists($_[0]) },
    located => sub { located($_[0]) },
    flat => sub { ref $_[0] eq 'HASH' && "@{keys_of($_[0])}" eq 'error fields' && lists($_[0]{fields}) },
    envelope => sub { wrapped($_[0]) && lists($_[0]{data}) },
    list => sub { sentences($_[0]) },
);

sub format_of {
    my ($name) = @_;
    return $sentence{$name} ? $name : croak "no error format '$name'";
}

sub only {
    my ($hash, $key) = @_;
    return ref $hash eq 'HASH' && keys %$hash == 1 && !ref $hash->{$key} && $hash->{$key};
}

sub wrapped {
    my ($hash) = @_;
    return ref $hash eq 'HASH' && "@{keys_of($hash)}" eq 'data success' && !$hash->{success};
}

sub lists {
    my ($hash) = @_;
    return undef if ref $hash ne 'HASH' || grep { ref ne 'ARRAY' || !@$_ || grep { ref || !length } @$_ } values %$hash;
    return { map { $_ => $hash->{$_}[0] } keys %$hash };
}

sub located {
    my ($hash) = @_;
    return undef if ref $hash ne 'HASH' || ref $hash->{detail} ne 'ARRAY';
    my %found;
    for my $entry (@{ $hash->{detail} }) {
        return undef if ref $entry ne 'HASH' || "@{keys_of($entry)}" ne 'loc msg type' || ref $entry->{loc} ne 'ARRAY';
        return undef if $entry->{loc}[0] !~ /^(body|query|path)$/;
        $found{ $entry->{loc}[-1] } = $entry->{msg};
    }
    return \%found;
}

# {field => sentence} of ["field: sentence", "sentence about the body"].
sub sentences {
    my ($list) = @_;
    return undef if ref $list ne 'ARRAY' || !@$list || grep { ref || !length } @$list;
    return { map { /^([a-z_.]+): (.+)/ ? ($1 => $2) : (non_field_errors => $_) } @$list };
}

# is_error($reply, format, status [, qr/sentence/] [, name]): an error response of this status in this format.
sub is_error {
    my ($reply, $format, $status, @more) = @_;
    my $like = ref $more[0] ? shift @more : qr/\S/;
    my $name = shift @more || $reply->name . " returns $status";
    my $sentence = $sentence{ format_of($format) }->($reply->json);
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return ok($reply->status == $status && $reply->is_json && ($sentence || '') =~ $like, $name)
        || diag($reply->summary);
}

# is_invalid($reply, format, [fields] [, name]): a validation error that reports exactly these fields.
sub is_invalid {
    my ($reply, $format, $fields, $name) = @_;
    $format = format_of($format);
    my $found = $fields{$format}->($reply->json);
    my $status = $format eq 'located' ? 422 : 400;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return ok($reply->status == $status && $found && "@{keys_of($found)}" eq join(' ', sort @$fields),
        $name || $reply->name . " rejects @$fields") || diag($reply->summary);
}

# ---- concurrency ----

# parallel($n, sub { my ($i) = @_; ... }): runs the sub in n processes that start at the same instant; returns their
# results in order.
sub parallel {
    my ($n, $work) = @_;
    pipe my $wait, my $go or croak "pipe: $!";
    my @children = map { spawn($_, $work, $wait, $go) } 0 .. $n - 1;
    close $wait;
    Time::HiRes::sleep(0.05 + 0.005 * $n);
    close $go;
    my @outputs = map { output_of($_) } @children;
    return map { result_of($_) } @outputs;
}

sub output_of {
    my ($child) = @_;
    my $from = $child->{from};
    my $output = do { local $/; <$from> };
    waitpid $child->{pid}, 0;
    return $output;
}

sub result_of {
    my ($output) = @_;
    my $outcome = eval { JSON::XS->new->utf8->decode($output // '') } or croak 'parallel: a process returned nothing';
    croak "parallel: $outcome->{died}" if defined $outcome->{died};
    return $outcome->{result};
}

sub spawn {
    my ($i, $work, $wait, $go) = @_;
    pipe my $from, my $to or croak "pipe: $!";
    my $before = LearnHub::Server->started;
    my $pid = fork // croak "fork: $!";
    if (!$pid) {
        close $go;
        sysread $wait, my $nothing, 1;
        my $result = eval { $work->($i) };
        my $outcome = $@ ? { died => "$@" } : { result => $result };
        print $to JSON::XS->new->utf8->allow_nonref->allow_blessed->convert_blessed->encode($outcome);
        close $to;
        my @servers = LearnHub::Server->started;
        $_->stop for @servers[$before .. $#servers]; # its own: END does not run
        POSIX::_exit(0);
    }
    close $to;
    return { pid => $pid, from => $from };
}

# Repeats the sub until it returns a true value and returns that; undef after `seconds` (10). The last try begins after
# that time, so that a pause of the test's own process is not taken for a failure.
sub eventually {
    my ($try, $seconds) = @_;
    my $until = Time::HiRes::time() + ($seconds || 10);
    while (1) {
        my $is_last = Time::HiRes::time() >= $until;
        my $value = eval { $try->() };
        return $value if $value;
        return undef if $is_last;
        Time::HiRes::sleep(0.05);
    }
}

# ---- servers ----

# Starts another httpd on the same database with additional directives: ->port ->pid ->error_log ->graceful ->stop.
# Dies with httpd's output if it does not start. bare => 1 omits the LearnHub directives of t/conf, alone => 1 all of
# t/conf. file_kb => 1000: it can write no file of more than 1000 KB, as on a full disk.
sub second_httpd { my ($directives, %with) = @_; return LearnHub::Server->start($directives // '', %with) }

# Runs httpd -t with the same arguments: (exit code, output).
sub configtest { my ($directives, %with) = @_; return LearnHub::Server->configtest($directives, %with) }

# Restarts the test server ('graceful' or 'restart') and waits until it accepts connections.
sub restart_httpd {
    my ($how) = @_;
    return LearnHub::Server->main->restart($how || 'graceful');
}

# The private memory of the largest httpd process of this tree, in KB; resident('VmHWM'): its peak, with shared memory.
sub resident {
    my ($field) = (@_, 'RssAnon');
    my $most = 0;
    for my $status (glob '/proc/[0-9]*/status') {
        my ($pid) = $status =~ /(\d+)/;
        open my $line, '<', "/proc/$pid/cmdline" or next;
        my $command = join '', <$line>;
        next if $command !~ /apache2|httpd/ || $command !~ /\Q$top\E/;
        open my $in, '<', $status or next;
        my ($size) = join('', <$in>) =~ /^$field:\s+(\d+)/m;
        $most = $size if ($size || 0) > $most;
    }
    return $most;
}

# ---- the error log ----

my @expected;
my $owner = $$;
my $log = "$top/t/logs/error_log";
my $log_start = -s $log || 0;

# expect_log(qr/.../, ...): allows error and warn lines of the module that match. Every other one fails the file.
sub expect_log { push @expected, @_; return }

sub unexpected_lines {
    my @found;
    for ([$log, $log_start], map { [$_->error_log, 0] } LearnHub::Server->started) {
        my ($file, $start) = @$_;
        open my $lines, '<:raw', $file or next;
        seek $lines, $start, 0;
        while (my $line = <$lines>) {
            my $ours = $line =~ /\[learnhub:(?:warn|error|crit|alert|emerg)\]/
                || $line =~ /\[\w+:(?:warn|error|crit|alert|emerg)\].*(?:learnhub:|lh_)/;
            next if !$ours && $line !~ /exit signal|Assertion|AddressSanitizer|runtime error:/;
            push @found, $line if !grep { $line =~ $_ } @expected;
        }
    }
    return @found;
}

# The plan may be complete already, so the exit status reports the failure.
END {
    if ($$ == $owner) {
        my $status = $?;
        $_->stop for LearnHub::Server->started;
        if (my @lines = unexpected_lines()) {
            diag("the error log has lines that no expect_log() allows:\n@lines[0 .. ($#lines < 9 ? $#lines : 9)]");
            $status ||= 1;
        }
        $? = $status;
    }
}

1;
