# SPDX-License-Identifier: Apache-2.0
# Problems, drawings and practice sessions for the tests of reviews, and servers that ask a model.
package LearnHub::Review;

use strict;
use warnings;
use utf8;

use Exporter qw(import);

use LearnHub::Test;

our @EXPORT = qw(json_of problem scene session draw drawn stored_session contended model_server);

# The body of a reply; dies unless it is a success.
sub json_of { my ($reply) = @_; $reply->status =~ /^2/ or die $reply->summary; return $reply->json }

my $author;

# Creates a problem; returns its id.
sub problem {
    my (%with) = @_;
    my %body = (title => 'A link shortener', description => 'Design it.', difficulty => 'easy', %with);
    $author ||= signup();
    return json_of(api_as($author, POST => '/problems/', json => \%body))->{problem}{id};
}

# An Excalidraw scene with a text for each label.
sub scene { return { elements => [map { { type => 'text', text => $_ } } @_], appState => {} } }

# The open session of a user for a problem (a new one by default); returns its id.
sub session {
    my ($user, $problem) = @_;
    return json_of(api_as($user, POST => '/sessions/', json => { problem_id => $problem || problem() }))->{id};
}

# Saves a drawing.
sub draw {
    my ($user, $id, $diagram) = @_;
    my %body = (diagram_data => $diagram, time_spent => 42);
    return json_of(api_as($user, PUT => "/sessions/$id/autosave", json => \%body));
}

# A session with a scene of these labels; returns its id.
sub drawn {
    my ($user, $problem, @labels) = @_;
    my $id = session($user, $problem);
    draw($user, $id, scene(@labels));
    return $id;
}

# A session in the database.
sub stored_session {
    my ($id) = @_;
    return (sql(q{SELECT * FROM learnhub.practice_sessions WHERE id = decode(?, 'hex')}, $id))[0];
}

# Runs $work in $n processes while a transaction holds the row locks of a statement, and ends it when all of them wait
# for a lock. Returns whether they did, and their results.
sub contended {
    my ($n, $work, $statement, @values) = @_;
    my $locks = 'SELECT count(*) AS n FROM pg_locks WHERE';
    return parallel $n + 1, sub {
        my ($i) = @_;
        if ($i) {
            eventually(sub { (sql("$locks locktype = 'advisory' AND objid = 5354 AND granted"))[0]{n} });
            return $work->($i);
        }
        database()->begin_work;
        sql($statement, @values);
        sql('SELECT pg_advisory_xact_lock(5354)');
        my $all = eventually(sub { (sql("$locks NOT granted"))[0]{n} == $n }, 4);
        database()->rollback;
        return $all ? 1 : 0;
    };
}

# A server of one process, so that there is one circuit breaker.
sub model_server {
    my ($model, $more) = @_;
    $ENV{no_proxy} = '127.0.0.1';
    return second_httpd("StartServers 1\nServerLimit 1\nThreadsPerChild 40\nMaxRequestWorkers 40\nMinSpareThreads 1\n"
            . "MaxSpareThreads 40\nLearnHubModelURL "
            . $model->url
            . qq(\nLearnHubModelName small\n$more\n));
}

1;
