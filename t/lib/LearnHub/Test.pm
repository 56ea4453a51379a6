# SPDX-License-Identifier: Apache-2.0
# What all test files use; it brings Test::More with it. Every function says in one line what it gives.
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

use LearnHub::Reply;
use LearnHub::Server;

our @EXPORT = (
    @Test::More::EXPORT,
    qw(api raw_http port signup user unique role sql keys_of parallel is_refusal is_invalid expect_log),
    qw(pg second_httpd configtest restart_httpd resident eventually true false $top $jwt_secret)
);

our $top = $ENV{LEARNHUB_TOP} || croak 'please run the tests by make -f Makefile.apxs test';
our $jwt_secret = 'the secret of the tests, which is long enough';

binmode Test::More->builder->$_, ':utf8' for qw(output failure_output todo_output);

sub true { return JSON::XS::true }
sub false { return JSON::XS::false }

# The port of the test server.
sub port { return $ENV{LEARNHUB_PORT} }

# ---- requests ----

my %agent;

# One for each process and address of ours: connections are kept, redirects are shown.
sub agent {
    my $from = shift // '127.0.0.1';
    delete $agent{$$} if LearnHub::Server->restarted; # the old generation closes its connections when it likes
    return $agent{$$}{$from} ||= LWP::UserAgent->new(local_address => $from,
        keep_alive => 4, timeout => 60, max_redirect => 0, agent => 'test', protocols_allowed => ['http']);
}

# The request of api(), not yet sent.
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
# query => {}, from => '127.0.0.2'): the reply, with ->status ->json ->header(name) ->body. A token with a space is the
# whole Authorization.
sub api {
    my ($method, $path, %with) = @_;
    if (my $query = $with{query}) {
        my @pairs = map { "$_=" . URI::Escape::uri_escape_utf8($query->{$_}) } sort keys %$query;
        $path .= ($path =~ /\?/ ? '&' : '?') . join '&', @pairs;
    }
    return LearnHub::Reply->new("$method $path", agent($with{from})->request(request($method, $path, %with)));
}

# Sends bytes as they are and gives all that comes back. keep => 1: our side stays open, so the server decides when
# it ends; otherwise it is told that no more will come. At most `wait` (10) seconds.
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
    return $reply;
}

# ---- people ----

my $serial = 0;

# A text nobody has used before: unique('ada') is "ada-1234-1-0".
sub unique { my ($stem) = @_; return join '-', $stem || 'x', $$, time % 100000, $serial++ }

# A new person, signed up and logged in: {id, email, first_name, last_name, password, token, refresh}. role => 'admin'
# gives the role before the login.
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
    return {%user, id => $reply->json->{user}{id}, token => $login->json->{access_token},
        refresh => $login->json->{refresh_token}};
}

# Gives somebody a role, as the operator does.
sub role { my ($email, $role) = @_; return sql('SELECT learnhub.set_role(?, ?)', $email, $role) }

# The row of a user: {id, ...}.
sub user { my ($email) = @_; return (sql('SELECT * FROM learnhub.users WHERE email = ?', $email))[0] }

# ---- the database ----

my %handle;

# One connection for each process, made anew after a restart of PostgreSQL.
sub database {
    return $handle{$$} if $handle{$$} && $handle{$$}->ping;
    return $handle{$$} = DBI->connect('dbi:Pg:' . join(';', split ' ', $ENV{LEARNHUB_OWNER}), '', '',
        { RaiseError => 1, PrintError => 0, PrintWarn => 0, AutoInactiveDestroy => 1, pg_enable_utf8 => 1 });
}

# Runs a statement as the schema's owner; the rows as a list of hashes.
sub sql {
    my ($statement, @values) = @_;
    my $query = database()->prepare($statement);
    $query->execute(@values);
    return $query->{NUM_OF_FIELDS} ? @{ $query->fetchall_arrayref({}) } : ();
}

# pg('stop', '-m', 'immediate'), pg('start'): the test server's own PostgreSQL.
sub pg {
    my ($command, @mode) = @_;
    my $mode = @mode ? $mode[-1] : '';
    system("'$top/conf/quickstart/database' $command $mode >/dev/null 2>&1") == 0 or croak "pg $command failed";
    return 1;
}

# ---- comparing ----

sub keys_of { my ($hash) = @_; return [sort keys %$hash] }

# The sentence of a refusal in an API's own shape, or undef when the body has another shape.
my %sentence = (
    plain => sub { only($_[0], 'detail') },
    practice => sub { only($_[0], 'detail') },
    tutoring => sub { only($_[0], 'error') },
    coding => sub { wrapped($_[0]) && only($_[0]{data}, 'detail') },
);

# The wrong fields of a validation failure: {field => sentence}, or undef.
my %fields = (
    plain => sub { lists($_[0]) },
    practice => sub { located($_[0]) },
    tutoring => sub { ref $_[0] eq 'HASH' && "@{keys_of($_[0])}" eq 'error fields' && lists($_[0]{fields}) },
    coding => sub { wrapped($_[0]) && lists($_[0]{data}) },
);

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

# is_refusal($reply, 'practice'|'tutoring'|'coding'|'plain', status [, qr/sentence/] [, name])
sub is_refusal {
    my ($reply, $style, $status, @more) = @_;
    my $like = ref $more[0] ? shift @more : qr/\S/;
    my $name = shift @more || $reply->name . " is refused with $status";
    my $sentence = $sentence{$style}->($reply->json);
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return ok($reply->status == $status && $reply->is_json && ($sentence || '') =~ $like, $name)
        || diag($reply->summary);
}

# is_invalid($reply, style, [wrong fields] [, name]): exactly these fields are reported.
sub is_invalid {
    my ($reply, $style, $wrong, $name) = @_;
    my $found = $fields{$style}->($reply->json);
    my $expected = $style eq 'practice' ? 422 : 400;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return ok($reply->status == $expected && $found && "@{keys_of($found)}" eq join(' ', sort @$wrong),
        $name || $reply->name . " reports @$wrong") || diag($reply->summary);
}

# ---- at the same time ----

# parallel($n, sub { my ($i) = @_; ... }): n processes that start at one instant; what each one returned, in order.
sub parallel {
    my ($n, $work) = @_;
    pipe my $wait, my $go or croak "pipe: $!";
    my @children = map { spawn($_, $work, $wait, $go) } 0 .. $n - 1;
    close $wait;
    Time::HiRes::sleep(0.05 + 0.005 * $n);
    close $go;
    my @answers = map { my $from = $_->{from}; local $/; my $text = <$from>; waitpid $_->{pid}, 0; $text } @children;
    return map { answer_of($_) } @answers;
}

sub answer_of {
    my ($text) = @_;
    my $answer = eval { JSON::XS->new->utf8->decode($text // '') } or croak 'parallel: a process gave no answer';
    croak "parallel: $answer->{died}" if defined $answer->{died};
    return $answer->{gave};
}

sub spawn {
    my ($i, $work, $wait, $go) = @_;
    pipe my $from, my $to or croak "pipe: $!";
    my $pid = fork // croak "fork: $!";
    if (!$pid) {
        close $go;
        sysread $wait, my $nothing, 1;
        my $gave = eval { $work->($i) };
        my $answer = $@ ? { died => "$@" } : { gave => $gave };
        print $to JSON::XS->new->utf8->allow_nonref->allow_blessed->convert_blessed->encode($answer);
        close $to;
        POSIX::_exit(0);
    }
    close $to;
    return { pid => $pid, from => $from };
}

# Tries until the sub gives a true value, at most `seconds` (10); gives that value or undef.
sub eventually {
    my ($try, $seconds) = @_;
    my $until = Time::HiRes::time() + ($seconds || 10);
    while (Time::HiRes::time() < $until) {
        my $value = eval { $try->() };
        return $value if $value;
        Time::HiRes::sleep(0.05);
    }
    return undef;
}

# ---- servers ----

# Another httpd on the same database, with more directives: ->port ->pid ->error_log ->graceful ->stop. Dies when it
# does not start, with what it said. bare => 1 leaves out the tests' own LearnHub directives, alone => 1 all of t/conf.
sub second_httpd { my ($directives, %with) = @_; return LearnHub::Server->start($directives // '', %with) }

# httpd -t, with the same arguments: (exit code, output).
sub configtest { my ($directives, %with) = @_; return LearnHub::Server->configtest($directives, %with) }

# Restarts the test server itself: 'graceful' or 'restart'; returns when it answers.
sub restart_httpd {
    my ($how) = @_;
    return LearnHub::Server->main->restart($how || 'graceful');
}

# The private memory of the test's largest httpd process, in KB.
sub resident {
    my $most = 0;
    for my $status (glob '/proc/[0-9]*/status') {
        my ($pid) = $status =~ /(\d+)/;
        open my $line, '<', "/proc/$pid/cmdline" or next;
        my $command = join '', <$line>;
        next if $command !~ /apache2|httpd/ || $command !~ /\Q$top\E/;
        open my $in, '<', $status or next;
        my ($size) = join('', <$in>) =~ /^RssAnon:\s+(\d+)/m;
        $most = $size if ($size || 0) > $most;
    }
    return $most;
}

# ---- the rule of the error log ----

my @announced;
my $owner = $$;
my $log = "$top/t/logs/error_log";
my $log_start = -s $log || 0;

# Announces an error or warn line of the module: every other one fails the file.
sub expect_log { push @announced, @_; return }

sub unannounced {
    my @found;
    for ([$log, $log_start], map { [$_->error_log, 0] } LearnHub::Server->started) {
        my ($file, $start) = @$_;
        open my $lines, '<:raw', $file or next;
        seek $lines, $start, 0;
        while (my $line = <$lines>) {
            my $ours = $line =~ /\[learnhub:(?:warn|error|crit|alert|emerg)\]/
                || $line =~ /\[\w+:(?:warn|error|crit|alert|emerg)\].*(?:learnhub:|lh_)/;
            next if !$ours && $line !~ /exit signal|Assertion|AddressSanitizer|runtime error:/;
            push @found, $line if !grep { $line =~ $_ } @announced;
        }
    }
    return @found;
}

# The plan may be done already, so this speaks by the exit status; the harness fails the file for it.
END {
    if ($$ == $owner) {
        my $status = $?;
        $_->stop for LearnHub::Server->started;
        if (my @lines = unannounced()) {
            diag("the error log has lines that no expect_log() announced:\n@lines[0 .. ($#lines < 9 ? $#lines : 9)]");
            $status ||= 1;
        }
        $? = $status;
    }
}

1;
