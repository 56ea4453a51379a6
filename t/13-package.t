# SPDX-License-Identifier: Apache-2.0
# What is installed: the Debian files, the manual pages, learnhub-ctl without a server. make -f Makefile.apxs deb-test
# installs the package.
use strict;
use warnings;

use Cwd qw(getcwd);
use File::Basename qw(dirname);
use File::Path qw(make_path remove_tree);
use Test::More;

my $top = getcwd();
my $files = "$top/build/package";
remove_tree($files);

sub slurp { my ($file) = @_; open my $in, '<:encoding(UTF-8)', $file or return ''; local $/; return scalar <$in> }

sub write_file {
    my ($name, $text) = @_;
    make_path(dirname("$files/$name"));
    open my $out, '>', "$files/$name" or die "$name: $!";
    print $out $text;
    return close $out;
}

sub output { my ($command) = @_; my $text = `$command 2>&1`; return $? == 0 ? $text : "failed: $text" }

subtest 'the manual pages' => sub {
    my $pod = output('conf/manual conf/DIRECTIVES.md');
    my @directives = slurp('conf/DIRECTIVES.md') =~ /^### (\w+)$/mg;
    my %part = $pod =~ /^=head2 (\w+)\n(.*?)(?=^=head|\z)/msg;
    cmp_ok(scalar @directives, '>', 40, 'there are directives');
    is_deeply([sort keys %part], [sort @directives], 'each directive has a section');
    for my $what (qw(Description Syntax Context)) {
        is(join(' ', grep { $part{$_} !~ /^B<$what:> \S/m } @directives), '', "with its $what");
    }
    open my $out, '>:raw', 'build/learnhub.conf.pod' or die $!;
    print $out $pod;
    close $out;
    for my $source (qw(build/learnhub.conf.pod conf/learnhub-ctl)) {
        like(output("podchecker -warnings $source"), qr/^\S+ pod syntax OK\.\n\z/, "$source is valid");
        like(output("pod2man --utf8 --errors=die $source"), qr/^\.SH "?NAME/m, 'pod2man converts it');
    }
    my ($usage) = slurp('conf/learnhub-ctl') =~ /<<'TEXT';\n(.*?)^TEXT$/ms;
    my @commands = $usage =~ /^  (\w+)/mg;
    my @described = slurp('conf/learnhub-ctl') =~ /^=item B<([a-z]+)>/mg;
    is_deeply([sort @commands], [sort @described],
        'the manual page of learnhub-ctl describes the commands of its help');
};

subtest 'learnhub-ctl without a server' => sub {
    is(output('perl -wc conf/learnhub-ctl'), "conf/learnhub-ctl syntax OK\n", 'it compiles without warnings');
    for my $arguments ('', 'nothing', 'role only@example.org', 'migrate x', '--unknown check') {
        my $text = `conf/learnhub-ctl $arguments 2>&1`;
        is($? >> 8, 2, "`learnhub-ctl $arguments` is an error") || diag($text);
        like($text, qr/^Usage: learnhub-ctl /m, 'with the usage');
    }
};

# A psql that prints its arguments and the password in its environment.
subtest 'passwords are no arguments' => sub {
    mkdir $files or die $!;
    open my $psql, '>', "$files/psql" or die $!;
    print $psql qq(#!/bin/sh\nprintf '%s|' "\$@" "password:\$PGPASSWORD"\n);
    close $psql or die $!;
    chmod 0755, "$files/psql";
    my %expected = (
        q(host=h user=u password=secret) => q(-X|-d|host='h' user='u'|password:secret|),
        q(password = 'a \' b' dbname='x y') => q(-X|-d|dbname='x y'|password:a ' b|),
        'postgresql://u:se%2Fcret@h:5433/db?sslmode=require' =>
            '-X|-d|postgresql://u@h:5433/db?sslmode=require|password:se/cret|',
        'postgres://h/db?password=secret&sslmode=require' => '-X|-d|postgres://h/db?sslmode=require|password:secret|',
        'postgres://h/db?user=u&password=secret' => '-X|-d|postgres://h/db?user=u|password:secret|',
        'host=h' => q(-X|-d|host='h'|password:|),
    );
    for my $conninfo (sort keys %expected) {
        local @ENV{qw(DATABASE PSQL)} = ($conninfo, "$files/psql");
        delete local $ENV{PGPASSWORD};
        is(output('conf/learnhub-ctl psql'), $expected{$conninfo}, $conninfo);
    }
    local @ENV{qw(DATABASE PSQL)} = ('host=h sslpassword=x', "$files/psql");
    like(output('conf/learnhub-ctl psql'), qr/^failed: learnhub: sslpassword would appear/, 'sslpassword is rejected');
    $ENV{DATABASE} = 'host=h and more';
    like(output('conf/learnhub-ctl psql'), qr/^failed: learnhub: .* is not valid/, 'so is an invalid string');
};

subtest 'make install' => sub {
    my $log = output("DESTDIR='$files/root' PREFIX=/usr conf/install build/mod_learnhub.so");
    unlike($log, qr/^failed/, 'it succeeds') || diag($log);
    my @installed = map {s{^\Q$files/root\E}{}r} split /\n/, output("find $files/root -type f");
    my %has = map { $_ => 1 } @installed;
    my ($modules) = output('apxs -q libexecdir') =~ /(\S+)/;
    my @expected = ("$modules/mod_learnhub.so", '/usr/sbin/learnhub-ctl', '/usr/share/man/man8/learnhub-ctl.8',
        '/usr/share/man/man5/learnhub.conf.5', '/usr/share/doc/learnhub/OPERATING.md',
        map { '/usr/share/learnhub/' . s{^conf/}{}r } glob('conf/schema/*.sql conf/LearnHubCtl/*.pm'),
        grep {-f} glob 'conf/import/* conf/monitoring/*');
    is(join(' ', grep { !$has{$_} } @expected), '', 'the files are there');
    my @links;
    for my $file (grep {/\.md$/} @installed) {
        my ($folder) = $file =~ m{(.*)/};
        push @links, map {"$folder/$_"} slurp("$files/root$file") =~ /\]\((?!https?:|#)([^)#\s]+)/g;
    }
    my @broken = grep { !-e "$files/root$_" } @links;
    cmp_ok(scalar @links, '>', 10, 'the documents have links');
    is("@broken", '', 'which lead to documents');
    my $directives = slurp("$files/root/usr/share/doc/learnhub/DIRECTIVES.md");
    my ($list) = $directives =~ m{^\[?`(\S*learnhub\.conf)`(?:\]\(learnhub\.conf\))? lists the same directives}m;
    $list = "/usr/share/doc/learnhub/$list" if ($list // '') !~ m{^/};
    ok($has{$list}, 'DIRECTIVES.md names the installed learnhub.conf');

    for my $case (['', ''], ['DEBIAN=1 DOCDIR=/usr/share/doc/libapache2-mod-learnhub', '.gz']) {
        my ($environment, $suffix) = @$case;
        output("$environment DESTDIR='$files/manual' PREFIX=/usr conf/install build/mod_learnhub.so");
        my $page = slurp("$files/manual/usr/share/man/man5/learnhub.conf.5") =~ s/\\-/-/gr;
        my ($named, $packed) = $page =~ m{(/\S+/OPERATING\.md)(\.gz)?};
        ok(-e "$files/manual" . ($named // '/absent'), "learnhub.conf(5) names the installed OPERATING.md");
        is($packed // '', $suffix, $suffix ? 'which dh_compress has compressed' : 'as it is');
    }
    my $ctl = "$files/root/usr/sbin/learnhub-ctl";
    local @ENV{qw(DATABASE PSQL)} = ('host=h', 'false');
    like(output("$ctl migrate"), qr/^failed: learnhub: the migration failed/, 'learnhub-ctl finds its schema');
};

# npm is a script that makes the files of the package.
subtest 'conf/docs/install' => sub {
    my $content = sub { my ($folder) = @_; return { map { s{.*/}{}r => slurp($_) } glob "$folder/{*,.[a-z]*}" } };
    make_path("$files/bin");
    write_file('bin/npm', <<'END');
#!/bin/sh
[ ! -e "$NPM_FAILS" ] || exit 1
mkdir -p node_modules/swagger-ui-dist && cd node_modules/swagger-ui-dist
for file in swagger-ui.css swagger-ui-bundle.js LICENSE NOTICE swagger-ui-bundle.js.LICENSE.txt index.html; do
    echo "npm's $file" >$file
done
END
    chmod 0755, "$files/bin/npm";
    local @ENV{qw(PATH NPM_FAILS)} = ("$files/bin:$ENV{PATH}", "$files/fails");
    my %foreign = (
        'a file' => { 'index.html' => 'mine' },
        'a hidden file' => { '.git' => 'mine' },
        'names of our files' => { map { $_ => 'mine' } qw(docs.js docs.css LICENSE) },
        'a version of something else' => { version => "1.2.3\n", 'docs.js' => 'mine' },
        'a folder version' => { 'version/x' => 'mine' },
    );
    for my $name (sort keys %foreign) {
        remove_tree("$files/docs");
        write_file("docs/$_", $foreign{$name}{$_}) for keys %{ $foreign{$name} };
        my $before = output("cd $files/docs && find . -type f -exec sha256sum {} +");
        like(output("conf/docs/install $files/docs"), qr/^failed: \S+ has other files: use a directory of its own$/,
            "$name: refused");
        is(output("cd $files/docs && find . -type f -exec sha256sum {} +"), $before, '... and not changed');
    }
    remove_tree("$files/docs");
    is(output("conf/docs/install $files/docs"), '', 'a new directory');
    my %made = %{ $content->("$files/docs") };
    my $script = slurp('conf/docs/docs.js');
    is_deeply([@made{qw(docs.js swagger-ui.css)}], [$script, "npm's swagger-ui.css\n"], 'has the files');
    write_file('docs/own.txt', 'mine');
    write_file('docs/version', "@{['0' x 64]}  -\n");
    write_file('docs/docs.js', 'old');
    write_file('fails', '');
    like(output("conf/docs/install $files/docs"), qr/^failed/, 'without npm it fails');
    is($content->("$files/docs")->{'docs.js'}, 'old', '... and leaves the older version');
    unlink "$files/fails";
    is(output("conf/docs/install $files/docs"), '', 'an older version');
    is_deeply($content->("$files/docs"), { %made, 'own.txt' => 'mine' }, '... is replaced, and nothing else');
};

subtest 'the Debian files' => sub {
    my ($load) = slurp('conf/debian/learnhub.load') =~ /^# Depends: (.*)$/m;
    is($load, 'dbd', 'a2enmod enables what the module needs; mod_watchdog is built in');
    my ($version) = slurp('include/learnhub.h') =~ /^#define LH_VERSION "(.*)"$/m;
    my $changelog = slurp('conf/debian/changelog');
    like($changelog, qr/\Alibapache2-mod-learnhub \(\Q$version\E\) /, 'the version is that of the module');

    # The library of each -l, and the package with its header, as in conf/quickstart/packages.
    my %package = (jansson => 'libjansson-dev', pq => 'libpq-dev', crypto => 'libssl-dev',
        curl => 'libcurl4-openssl-dev', z => 'zlib1g-dev');
    my ($libraries) = slurp('Makefile.apxs') =~ /^LIBRARIES = (.*)$/m;
    my ($build) = slurp('conf/debian/control') =~ /^Build-Depends:\n((?: .*\n)+)/m;
    for my $library ($libraries =~ /-l(\w+)/g) {
        my $package = $package{$library} // "a package for -l$library";
        like($build, qr/^ \Q$package\E,$/m, "a build depends on $package");
    }
    like($build, qr/^ $_\b/m, "and on $_") for qw(apache2-dev dh-apache2 debhelper-compat perl);
    my ($depends) = slurp('conf/debian/control') =~ /^Depends:\n((?: .*\n)+)/m;
    like($depends, qr/^ \Q$_\E,$/m, "the package depends on $_")
        for qw(libaprutil1-dbd-pgsql postgresql-client ${misc:Depends} ${perl:Depends} ${shlibs:Depends});
};

subtest 'shellcheck' => sub {
    my @scripts = grep { -f && slurp($_) =~ m{\A#!/bin/sh\n} } glob 'conf/* conf/debian/* conf/quickstart/*';
    cmp_ok(scalar @scripts, '>', 8, 'there are scripts');
    my $text = output("shellcheck --severity=warning -e SC2154 -x -P SCRIPTDIR @scripts");
    is($text, '', 'no warnings'); # SC2154: variables of common.sh
};

done_testing;
