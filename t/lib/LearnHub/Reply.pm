# SPDX-License-Identifier: Apache-2.0
# An answer of the server, as tests look at it.
package LearnHub::Reply;

use strict;
use warnings;

use JSON::XS ();

sub new {
    my ($class, $name, $response) = @_;
    return bless { name => $name, response => $response }, $class;
}

sub name { my ($self) = @_; return $self->{name} }
sub status { my ($self) = @_; return $self->{response}->code }
sub header { my ($self, $name) = @_; return scalar $self->{response}->header($name) }
sub body { my ($self) = @_; return $self->{response}->content }
sub response { my ($self) = @_; return $self->{response} }

# The body decoded; undef when it is no JSON.
sub json {
    my ($self) = @_;
    $self->{json} = eval { JSON::XS->new->utf8->allow_nonref->decode($self->body) } if !exists $self->{json};
    return $self->{json};
}

sub is_json {
    my ($self) = @_;
    return ($self->header('Content-Type') || '') =~ m{^application/json\b} && defined $self->json;
}

# One line for diag() and die.
sub summary {
    my ($self) = @_;
    return sprintf '%s: %s %s', $self->name, $self->{response}->status_line, substr $self->body, 0, 500;
}

# parallel() brings replies home as {status, json, body}.
sub TO_JSON {
    my ($self) = @_;
    return { status => $self->status, json => $self->json };
}

1;
