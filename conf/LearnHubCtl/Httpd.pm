# SPDX-License-Identifier: Apache-2.0
# The configuration of httpd, as httpd itself reads it.
package LearnHubCtl::Httpd;

use strict;
use warnings;

use Cwd qw(realpath);
use Exporter qw(import);
use POSIX ();

our @EXPORT = qw(fail httpd run_httpd setting serving databases absolute);

sub fail { my ($text) = @_; print STDERR "learnhub: $text\n"; exit 1 }

# The command that starts httpd, with a configuration file or with that of the system.
sub httpd_command {
    my ($file) = @_;
    my @path = (split(/:/, $ENV{PATH} // ''), qw(/usr/local/sbin /usr/sbin /sbin));
    my @names = defined $file ? qw(apache2 httpd) : qw(apachectl apache2ctl httpd);
    for my $name (@names) {
        my ($found) = grep {-x} map {"$_/$name"} @path;
        return defined $file ? ($found, '-f', realpath($file)) : $found if $found;
    }
    return fail("none of @names is installed");
}

# Runs httpd with further arguments; returns whether it succeeded, and what it wrote.
sub run_httpd {
    my ($file, @arguments) = @_;
    my @command = (httpd_command($file), @arguments);
    my $pid = open(my $pipe, '-|') // fail("fork: $!");
    if (!$pid) {
        open STDERR, '>&', \*STDOUT;
        exec { $command[0] } @command or POSIX::_exit(127);
    }
    my $text = join '', <$pipe>;
    return (close $pipe, $text);
}

# The arguments of a directive.
sub words {
    my ($text) = @_;
    my @words = $text =~ /\G\s*("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|\S+)/gcs;
    return map { /^(["'])(.*)\1$/s ? $2 =~ s/\\(["'\\])/$1/gr : $_ } @words;
}

# The configuration as httpd reads it: {user, group, root, modules, servers => [{directive in lower case => [arguments,
# ...]}]}. A virtual host has the directives of the main server that it does not set. mod_info prints them all; it is
# loaded for this command only.
sub httpd {
    my ($file) = @_;
    my ($module) = grep {-e} map {"$_/mod_info.so"} qw(/usr/lib/apache2/modules /usr/lib64/httpd/modules
        /usr/lib/httpd/modules /usr/libexec/apache2 /usr/local/apache2/modules);
    defined $module or fail('mod_info.so, which prints the configuration of httpd, was not found');
    my @dumps = map { ('-D', "DUMP_$_") } qw(CONFIG RUN_CFG MODULES);
    my ($passed, $text) = run_httpd($file, '-C', "LoadModule info_module $module", '-t', @dumps);
    my ($user, $group, $root) = map { $text =~ $_ ? $1 : undef }
        qr/^User: name="([^"]+)"/m, qr/^Group: name="([^"]+)"/m, qr/^ServerRoot: "([^"]+)"/m;
    my $config = { user => $user, group => $group, root => $root // '/', modules => {}, servers => [] };
    $config->{modules}{$1} = 1 while $text =~ /^ (\w+)_module \((?:static|shared)\)$/mg;
    $config->{servers} = servers($text);
    return $config;
}

# The servers of a dump of the configuration, the main server first. Sections other than virtual hosts do not matter.
sub servers {
    my ($text) = @_;
    my @servers = ({});
    my ($current, $skipped) = ($servers[0], 0);
    for my $line (split /\n/, $text) {
        if ($line =~ /^\s*<VirtualHost\b/i) { push @servers, $current = {} }
        elsif ($line =~ m{^\s*</VirtualHost>}i) { $current = $servers[0] }
        elsif ($line =~ m{^\s*</}) { $skipped-- }
        elsif ($line =~ /^\s*</) { $skipped++ }
        elsif (!$skipped && $line =~ /^\s*([A-Za-z]\w+)(?:\s+(.*))?$/) {
            push @{ $current->{ lc $1 } }, [words($2 // '')];
        }
    }
    for my $host (@servers[1 .. $#servers]) {
        $host->{$_} //= $servers[0]{$_} for keys %{ $servers[0] };
    }
    return \@servers;
}

# The last argument list of a directive, joined; undef if it is not set.
sub setting {
    my ($server, $name, $default) = @_;
    my $all = $server->{ lc $name } or return $default;
    return join ' ', @{ $all->[-1] };
}

sub serving { my ($config) = @_; return grep { lc(setting($_, 'LearnHub', 'Off')) eq 'on' } @{ $config->{servers} } }

# The databases of the servers with LearnHub On, in the order of the servers: [DBDParams, the first of its servers].
sub databases {
    my ($config) = @_;
    my %seen;
    my @all = map { [setting($_, 'DBDParams'), $_] } serving($config);
    return grep { defined $_->[0] && !$seen{ $_->[0] }++ } @all;
}

sub absolute { my ($config, $path) = @_; return $path =~ m{^/} ? $path : "$config->{root}/$path" }

1;
