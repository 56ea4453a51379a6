# SPDX-License-Identifier: Apache-2.0
# Runs a front end of t/frontends in Chromium, on another origin than the API, and turns the lines of drive.js into
# assertions.
package LearnHub::Frontend;

use strict;
use warnings;

use Carp qw(croak);
use Exporter qw(import);
use IPC::Open3 qw(open3);
use JSON::XS ();

use LearnHub::Exchange;
use LearnHub::Test;

our @EXPORT = qw(frontend);

my $json = JSON::XS->new->utf8->canonical->allow_nonref;
my $wait = 300; # seconds for one line of the driver
my $driver;

# frontend('practice', directives => '...', answers => { name => sub {...} }): runs t/frontends/practice/flow.js against
# an httpd with additional directives. The flow asks the test by the names of `answers`. With path => '/', it begins at
# this path of that httpd instead of a page of t/frontends.
sub frontend {
    my ($name, %with) = @_;
    my $pages = LearnHub::Server->free_port;
    my $requests = "$top/t/logs/frontend-$name.requests";
    my $server = second_httpd(configuration($pages, $requests) . ($with{directives} // ''));
    my $api = 'http://127.0.0.1:' . $server->port;
    my %options = (name => $name, api => $api, pages => "http://localhost:$pages", driver => "$top/build/frontends",
        out => "$top/build/frontends");
    @options{qw(path pages)} = ($with{path}, $api) if $with{path};
    my ($to, $from) = start($name, \%options);
    my $done;
    while (defined(my $line = next_line($from))) {
        my $decoded = $json->decode($line);
        record($server->port, $decoded->{exchange}) if $decoded->{exchange};
        $done ||= follow($decoded, $to, $with{answers} || {});
    }
    stop();
    ok($done, "the flow of $name came to its end") || diag(slurp("$top/t/logs/frontend-$name.err"));
    return if $with{path};
    my @preflights = slurp($requests) =~ /^OPTIONS \S+ (\d+)$/mg;
    ok(@preflights && !grep({ $_ != 204 } @preflights), 'the browser sent preflights, and each was answered with 204')
        || diag("statuses: @preflights");
    return;
}

# Serves t/frontends on the port $pages, and logs the requests of the API.
sub configuration {
    my ($pages, $requests) = @_;
    chomp(my $modules = `apxs -q libexecdir`);
    return <<"DIRECTIVES";
LoadModule mime_module "$modules/mod_mime.so"
TypesConfig /dev/null
AddType text/html .html
AddType text/javascript .js
AddType text/css .css
LearnHubCORS http://localhost:$pages
LogFormat "%m %U %>s" frontend
CustomLog "$requests" frontend
Listen $pages
<VirtualHost *:$pages>
    LearnHub Off
    DocumentRoot "$top/t/frontends"
    CustomLog /dev/null frontend
</VirtualHost>
DIRECTIVES
}

# Starts the driver: (its standard input, its standard output). Everything that it and Chromium write is below build/.
sub start {
    my ($name, $options) = @_;
    local $ENV{HOME} = "$top/build/frontends/home";
    mkdir $_ for "$top/build/frontends", $ENV{HOME};
    open my $errors, '>', "$top/t/logs/frontend-$name.err" or croak $!;
    my ($to, $from);
    $driver = open3($to, $from, '>&' . fileno $errors, 'node', "$top/t/frontends/drive.js", $json->encode($options));
    $to->autoflush(1);
    return ($to, $from);
}

sub record {
    my ($port, $exchange) = @_;
    utf8::encode($_) for grep {defined} @$exchange{qw(body sent)};
    return LearnHub::Exchange::record({ port => $port, %$exchange });
}

# Carries out one line of the driver; true for the last one.
sub follow {
    my ($line, $to, $answers) = @_;
    if (my $question = $line->{ask}) {
        my $answer = $answers->{$question} or croak "the flow asks for $question";
        print $to $json->encode(scalar $answer->(@{ $line->{values} })), "\n";
    }
    elsif (my $step = $line->{step}) {
        ok($line->{ok}, $step) || diag($line->{error});
    }
    return $line->{done};
}

sub next_line {
    my ($from) = @_;
    local $SIG{ALRM} = sub { croak "the driver wrote nothing for $wait seconds" };
    alarm $wait;
    my $line = <$from>;
    alarm 0;
    return $line;
}

sub slurp {
    my ($file) = @_;
    open my $in, '<', $file or return '';
    local $/;
    return scalar <$in>;
}

# Ends the driver, which ends Chromium.
sub stop {
    my $pid = $driver or return;
    undef $driver;
    kill TERM => $pid;
    waitpid $pid, 0;
    return;
}

END { local $?; stop() }

1;
