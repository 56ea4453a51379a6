# SPDX-License-Identifier: Apache-2.0
# A response of the server: status, headers, body and decoded JSON.
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

# The decoded body; undef if it is not JSON.
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

# parallel() returns replies of other processes as {status, json, retry}.
sub TO_JSON {
    my ($self) = @_;
    return { status => $self->status, json => $self->json, retry => $self->header('Retry-After') };
}

1;
