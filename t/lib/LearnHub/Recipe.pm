# SPDX-License-Identifier: Apache-2.0
# The files of conf/cluster, with the addresses and paths of a test.
package LearnHub::Recipe;

use strict;
use warnings;

use Carp qw(croak);

use LearnHub::Test;

# recipe('haproxy.cfg', [qr/pattern/ => 'replacement'], ...): the text of a file of conf/cluster, in which all matches
# of each pattern are replaced. Every pattern must match, so that the test uses what the file says.
sub recipe {
    my ($class, $name, @changes) = @_;
    open my $in, '<:encoding(UTF-8)', "$top/conf/cluster/$name" or croak "$name: $!";
    my $text = do { local $/; <$in> };
    for my $change (@changes) {
        my ($pattern, $replacement) = @$change;
        $text =~ s/$pattern/$replacement/g or croak "conf/cluster/$name does not contain $pattern";
    }
    return $text;
}

# The same, written into a file; returns the file's name.
sub write_recipe {
    my ($class, $file, $name, @changes) = @_;
    open my $out, '>:encoding(UTF-8)', $file or croak "$file: $!";
    print $out $class->recipe($name, @changes);
    close $out or croak "$file: $!";
    return $file;
}

1;
