# SPDX-License-Identifier: Apache-2.0
# The mutants of a C file: each replaces one operator, constant, condition or statement. Comments, strings, preprocessor
# lines, log messages, declarations without a value and tables between clang-format comments are left alone.
package Mutation::Source;

use strict;
use warnings;

sub slurp {
    my ($file) = @_;
    open my $in, '<:raw', $file or die "mutation: $file: $!\n";
    local $/;
    return scalar <$in>;
}

# The same text with blanks, but the same lines, where nothing is mutated.
sub blank { my ($text) = @_; return $text =~ s/[^\n]/ /gr }

# In this order: a comment may contain a quote, a string may contain a semicolon.
my @untouched = (
    qr{(/\* clang-format off \*/.*?/\* clang-format on \*/)}s,
    qr{(/\*.*?\*/|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')}s,
    qr{^([ \t]*\#(?:[^\n]*\\\n)*[^\n]*)}m,
    qr{\b(ap_log_\w+\([^;]*;)},
    qr{^(typedef\b(?:[^;\{]*\{.*?^\})?[^;]*;|enum\b[^;]*;|struct \w+ \{.*?^\};)}ms,
);

sub code_of {
    my ($text) = @_;
    for my $pattern (@untouched) {
        $text =~ s/$pattern/blank($1)/ge;
    }
    return $text;
}

my %relation = ('<' => '<=', '<=' => '<', '>' => '>=', '>=' => '>', '==' => '!=', '!=' => '==');
my %logic = ('&&' => '||', '||' => '&&');
my %arithmetic = ('+' => '-', '-' => '+', '*' => '/', '/' => '*', '%' => '/', '&' => '|', '|' => '&',
    '<<' => '>>', '>>' => '<<', '+=' => '-=', '-=' => '+=', '|=' => '=', '&=' => '=');

# 1 becomes 0, which is false; another constant becomes one larger, one smaller or 0: which one follows from its place.
sub other_number {
    my ($number, $at) = @_;
    my @others = $number eq '0' ? 1 : $number eq '1' ? 0 : ($number + 1, $number - 1, 0);
    return $others[$at % @others];
}

# The value that replaces a returned one; undef: none.
sub other_result {
    my ($value) = @_;
    return 'NULL' if $value =~ /^(?:error|lh_error_\w+\(.*\)|lh_fail\w*\(.*\))$/s;
    return 'APR_SUCCESS' if $value =~ /^APR_E\w+$/ || $value eq 'rv';
    return 'LH_SQL_OK' if $value =~ /^LH_SQL_[A-Z]+$/ && $value ne 'LH_SQL_OK' || $value eq 'outcome';
    return 'LH_SQL_LOST' if $value eq 'LH_SQL_OK';
    return '0' if $value =~ /^[a-z]\w*\(.*\)$|^\w+$/s && $value !~ /^(?:\d+|NULL|[A-Z]\w*)$/;
    return undef;
}

# The position after the bracket that closes the one at $at.
sub after_bracket {
    my ($code, $at) = @_;
    pos($code) = $at;
    $code =~ /\G(\((?:[^()]++|(?1))*\))/gc or return undef;
    return pos $code;
}

# [from, to, replacement, operator] for each match of a pattern; the sub returns the last two for $1.
sub matches {
    my ($code, $pattern, $replace) = @_;
    my @found;
    while ($code =~ /$pattern/g) {
        my ($from, $to) = ($-[1], $+[1]);
        my ($operator, $new) = $replace->(substr($code, $from, $to - $from), $from);
        push @found, [$from, $to, $new, $operator] if defined $new;
    }
    return @found;
}

sub operators {
    my ($code) = @_;
    my $binary = qr/[\w)\]] ([-+*\/%&|]|<<|>>|\+=|-=|\|=|&=) (?=[\w(~-])/;
    return (
        matches($code, qr/ (<=|>=|==|!=|<|>) /, sub { (relation => $relation{ $_[0] }) }),
        matches($code, qr/ (&&|\|\|)\s/, sub { (logic => $logic{ $_[0] }) }),
        matches($code, $binary, sub { (arithmetic => $arithmetic{ $_[0] }) }),
        matches($code, qr/(\+\+|--)/, sub { (arithmetic => $_[0] eq '++' ? '--' : '++') }),
        matches($code, qr/(?<![\w.])(\d+)(?![\w.])/, sub { (constant => other_number(@_)) }),
        matches($code, qr/[(\s](!)(?=[\w(*])/, sub { (condition => '') }),
    );
}

sub conditions {
    my ($code) = @_;
    my @found;
    while ($code =~ /\bif (?=\()/g) {
        my ($from, $to) = ($+[0], after_bracket($code, $+[0]));
        my $condition = substr $code, $from, ($to // next) - $from;
        next if $condition !~ /&&|\|\|/ && $condition =~ /^\(!|[!=]=/; # equals another mutant
        push @found, [$from, $to, "(!$condition)", 'condition'];
    }
    return @found;
}

# Statements begin a line.
sub statements {
    my ($code) = @_;
    my $lvalue = qr/\*?[A-Za-z_]\w*(?:(?:->|\.)\w+|\[[^\]\n]*\])*/;
    my $begin = qr/(?<=[;{}:])\s*\n\s+/;
    return (
        matches($code, qr/$begin((?!return|if|while|for|switch|sizeof)[a-z_]\w*\([^;{}]*\);)/, sub { (call => ';') }),
        matches($code, qr/$begin($lvalue (?:=|\+=|-=|\|=|&=)\s[^;{}]*;)/, sub { (assignment => ';') }),
        matches($code, qr/$begin($lvalue(?:\+\+|--);)/, sub { (assignment => ';') }),
        matches($code, qr/\breturn ([^;{}]+);/, sub { (result => other_result($_[0])) }),
        matches($code, qr/\b(break|continue);/, sub { (jump => $_[0] eq 'break' ? '' : 'break') }),
    );
}

# All mutants of a file, in the order of their places: {file, place, operator, before, after, text};
# `place` has the line and the column, `text` is the mutated file.
sub mutants {
    my ($file) = @_;
    my $text = slurp($file);
    my $code = code_of($text);
    my @found = sort { $a->[0] <=> $b->[0] || $a->[1] <=> $b->[1] || $a->[3] cmp $b->[3] }
        operators($code), conditions($code), statements($code);
    return map { describe($file, $text, @$_) } @found;
}

sub describe {
    my ($file, $text, $from, $to, $new, $operator) = @_;
    my $old = substr $text, $from, $to - $from;
    my $line = 1 + (substr($text, 0, $from) =~ tr/\n//);
    $new .= "\n" x ($old =~ tr/\n// - $new =~ tr/\n//) if $operator ne 'condition';
    if ($operator eq 'condition' && length $new) { # `code` has no strings
        $new = "(!$old)";
    }
    my $mutated = $text;
    substr $mutated, $from, $to - $from, $new;
    my $last = $line + ($old =~ tr/\n//);
    my $column = $from - rindex(substr($text, 0, $from), "\n");
    return { file => $file, place => "$file:$line:$column", operator => $operator, text => $mutated,
        before => lines($text, $line, $last), after => lines($mutated, $line, $last) };
}

sub lines {
    my ($text, $first, $last) = @_;
    return [grep {/\S/} (split /\n/, $text)[$first - 1 .. $last - 1]];
}

1;
