# SPDX-License-Identifier: Apache-2.0
# The account of a user: reading and changing it by JSON and by multipart/form-data, validation of every field,
# photos and how they are served, and concurrent changes.
use strict;
use warnings;
use utf8;

use Encode qw(encode_utf8);
use LearnHub::Account;
use LearnHub::Test;
use LearnHub::Users;

my $keys = [sort qw(pk username first_name last_name email phone_number profile_photo is_mentor is_mentee is_active)];
my $ada = signup(first_name => 'Ada', last_name => 'King');
my $ada_id = user_id($ada);
my $other = signup();
my $base = 'http://127.0.0.1:' . port();

# The smallest file of each type with a complete header.
my %sample = (
    'image/png' => "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\6\0\0\0\x1f\x15\xc4\x89"
        . "\0\0\0\6IDAT\r\n--\0\xffcrc!\0\0\0\0IEND\xae\x42\x60\x82",
    'image/jpeg' => "\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0\xff\xc0\0\x0b\x08\0\1\0\1\1\1\x11\0\xff\xd9",
    'image/gif' => "GIF89a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\1\0\1\0\0\2\2D\1\0;",
    'image/webp' => "RIFF\x1a\0\0\0WEBPVP8L\x0d\0\0\0/\0\0\0\x10\7\x10\x11\x11\x88\x88\xfe\7\0",
);
my %extension = ('image/png' => 'png', 'image/jpeg' => 'jpg', 'image/gif' => 'gif', 'image/webp' => 'webp');
my ($png, $gif) = @sample{qw(image/png image/gif)};

sub profile { my ($user, %with) = @_; return api_as($user, GET => '/myprofile/', %with) }
sub change { my ($user, %with) = @_; return api_as($user, PATCH => '/myprofile/', %with) }
sub change_json { my ($user, %fields) = @_; return change($user, json => \%fields) }
sub change_names { my ($user, %names) = @_; return change_json($user, current_password => $user->{password}, %names) }
sub change_form { my ($user, @fields) = @_; return change($user, multipart => \@fields) }

# A file in a multipart body.
sub file {
    my ($content, $name, $type) = @_;
    return [undef, $name // 'photo.png', 'Content-Type' => $type // 'image/png', Content => $content];
}

# A multipart body given as bytes.
sub change_raw {
    my ($user, $body, $type) = @_;
    $type //= 'multipart/form-data; boundary=b';
    return change($user, body => $body, headers => { 'Content-Type' => $type });
}

# A part of a multipart body.
sub part { my ($head, $data) = @_; return "--b\r\nContent-Disposition: form-data; $head\r\n\r\n$data\r\n" }

# Changes the photo of a user; returns its URL.
sub upload {
    my ($user, $content) = @_;
    my $reply = change_form($user, profile_photo => file($content));
    $reply->status == 200 or die $reply->summary;
    return $reply->json->{profile_photo};
}

sub path_of { my ($url) = @_; return $url =~ s{^http://[^/]+}{}r }
sub photos_of { my ($id) = @_; return sql('SELECT * FROM learnhub.photos WHERE user_id = ?', $id) }

# Checks a reply with a profile, and some of its values; returns the profile.
sub is_profile {
    my ($reply, $expected, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is($reply->status, 200, "$name: status") || diag($reply->summary);
    my $json = $reply->json;
    is_deeply(keys_of($json), $keys, "$name: keys of a profile");
    ok(JSON::XS::is_bool($json->{$_}), "$name: $_ is a boolean") for qw(is_mentor is_mentee is_active);
    is_deeply({ map { $_ => $json->{$_} } keys %$expected }, $expected, "$name: values");
    return $json;
}

my $first = { pk => $ada_id, username => $ada->{email}, first_name => 'Ada', last_name => 'King',
    email => $ada->{email}, phone_number => undef, profile_photo => undef, is_mentor => false, is_mentee => false,
    is_active => true };

my $opaque;

subtest 'Users read their own profile' => sub {
    is_profile(profile($ada), $first, 'profile of a new user');
    is_profile(api_as($ada, GET => '/myprofile'), $first, 'GET works without the trailing slash');
    is_deeply([map { $_->status, $_->body } api_as($ada, HEAD => '/myprofile/')], [200, ''], 'HEAD returns no body');
    is(profile($ada)->header('Cache-Control'), 'private, no-cache', 'shared caches must not keep a profile');
    for my $method (qw(GET PATCH)) {
        is_error(api($method => '/myprofile/'), 'detail', 401, "$method without a token is rejected");
        is_error(api($method => '/myprofile/', token => 'no.such.token'), 'detail', 401,
            "$method with an invalid token is rejected");
    }
    is_error(api_as($ada, $_ => '/myprofile/'), 'detail', 405, "$_ is not allowed") for qw(POST PUT DELETE);
    is_error(api_as($ada, GET => '/myprofile/else'), 'detail', 404, 'an unknown path is not found');
    $opaque = token_login($ada->{email}, $ada->{password});
    is(api(GET => '/myprofile/', token => 'Token ' . $opaque->json->{auth_token})->status, 200,
        'an opaque token is accepted');
};

subtest 'PATCH changes a profile by JSON or multipart/form-data' => sub {
    my %new = (first_name => "Zo\x{eb}", last_name => 'Müller', phone_number => '+12345678987', is_mentor => true,
        is_mentee => true);
    is_profile(change_json($ada, %new), { %$first, %new }, 'JSON');
    is_profile(profile($ada), { %$first, %new }, 'the changes are stored');
    is_profile(change_json($ada), { %$first, %new }, 'an empty JSON object changes nothing');
    is_profile(change($ada), { %$first, %new }, 'a request without a body changes nothing');
    is_profile(change_json($ada, pk => 1, is_active => false, role => 'admin', id => 5, unknown => [1]),
        { %$first, %new }, 'read-only and unknown fields are ignored');
    is(profile($ada)->status, 200, 'users cannot deactivate themselves by PATCH');
    is_profile(change_form($ada, first_name => 'Ada', last_name => encode_utf8('Łukasz'),
            phone_number => ' +4915112345678 ', is_mentor => 'False', is_mentee => '0', is_active => 'false',
            unknown => 'x', more => file('anything', 'x.txt')),
        { %$first, last_name => 'Łukasz', phone_number => '+4915112345678' },
        'multipart; unknown fields and files are ignored');
    is_profile(change_raw($ada, "--b--\r\n"), { %$first, last_name => 'Łukasz', phone_number => '+4915112345678' },
        'a multipart body without parts changes nothing');
    is_profile(change_form($ada, first_name => '', last_name => '  '), { first_name => '', last_name => '' },
        'names may be empty');
    is_profile(change_json($ada, last_name => '', first_name => 'x' x 150),
        { last_name => '', first_name => 'x' x 150 }, 'names have up to 150 characters');
};

subtest 'A phone number may contain spaces, dots, dashes and parentheses' => sub {
    for my $change (\&change_json, \&change_form) {
        is_profile($change->($ada, phone_number => '+1(919) 555-99.99'), { phone_number => '+19195559999' },
            'the response has the number without them');
        is(user($ada->{email})->{phone_number}, '+19195559999', 'the number is stored without them');
        change_json($ada, phone_number => undef);
    }
};

subtest 'Booleans are accepted in several spellings' => sub {
    for my $value (true, 'true', 'True', 'TRUE', 1, '1') {
        change_json($ada, is_mentor => false);
        is(change_json($ada, is_mentor => $value)->json->{is_mentor}, true, "JSON: $value is true");
    }
    for my $value (false, 'false', 'False', 0, '0') {
        change_json($ada, is_mentee => true);
        is(change_json($ada, is_mentee => $value)->json->{is_mentee}, false, "JSON: $value is false");
    }
    for my $value (qw(true True 1)) {
        change_json($ada, is_mentee => false);
        is(change_form($ada, is_mentee => $value)->json->{is_mentee}, true, "multipart: $value is true");
    }
    for my $value (qw(false False 0)) {
        is(change_form($ada, is_mentor => 1)->json->{is_mentor}, true, "multipart: is_mentor is set before $value");
        is(change_form($ada, is_mentor => $value)->json->{is_mentor}, false, "multipart: $value is false");
    }
};

subtest 'A phone number can be removed' => sub {
    for my $clear (sub { change_json($ada, phone_number => undef) }, sub { change_json($ada, phone_number => '') },
        sub { change_form($ada, phone_number => '') }) {
        is(change_json($ada, phone_number => '+12345678')->json->{phone_number}, '+12345678', 'a phone number is set');
        is(change_json($ada, first_name => 'A')->json->{phone_number}, '+12345678',
            'other changes keep the phone number');
        is($clear->()->json->{phone_number}, undef, 'null or an empty string removes the phone number');
        is(user($ada->{email})->{phone_number}, undef, 'the database has NULL for a removed phone number');
    }
};

my $before;

subtest 'PATCH validates every field' => sub {
    my @wrong = (
        [username => ''], [username => '  '], [username => 'x' x 151], [username => "a\nb"], [first_name => 'x' x 151],
        [last_name => 'x' x 151], [email => ''], [email => 'ada'], [email => 'ada@'], [email => '@example.com'],
        [email => 'a@b@example.com'], [email => 'x' x 250 . '@example.com'], [phone_number => '12345678987'],
        [phone_number => '+1234567'], [phone_number => '+1234567890123456'], [phone_number => '+1 234 567'],
        [phone_number => '+0123456789'], [phone_number => '+12345678x'], [phone_number => 'null'], [is_mentor => 'yes'],
        [is_mentor => ''], [is_mentee => '2'], [is_mentee => 'null'], [profile_photo => 'https://example.com/a.png'],
        [profile_photo => 'null'],
    );
    $before = profile($ada)->json;
    for my $case (@wrong) {
        my ($field, $value) = @$case;
        my $name = "$field " . substr($value, 0, 20) =~ s/\n/\\n/r;
        is_invalid(change_json($ada, %$before{first_name}, $field => $value), 'detail', [$field], "JSON rejects $name");
        is_invalid(change_form($ada, $field => $value), 'detail', [$field], "multipart rejects $name");
    }
    for my $case ([username => undef], [username => 5], [first_name => undef], [email => undef], [email => 5],
        [phone_number => 12345678], [is_mentor => undef], [is_mentor => 2], [profile_photo => 5], [profile_photo => ''],
        [profile_photo => true],
        [profile_photo => {}], [last_name => []]) {
        is_invalid(change_json($ada, @$case), 'detail', [$case->[0]], 'JSON rejects ' . JSON::XS->new->encode($case));
    }
    my @fields = qw(email is_mentor phone_number profile_photo username);
    is_invalid(change_json($ada, map { $_ => '!' x 200 } @fields), 'detail', \@fields,
        'JSON: all invalid fields are reported at once');
    is_invalid(change_form($ada, map { $_ => '!' x 200 } @fields), 'detail', \@fields,
        'multipart: all invalid fields are reported at once');
    is_invalid(change_form($ada, username => file('ada', 'ada.txt')), 'detail', ['username'],
        'a file for username is rejected');
    is_invalid(change_json($ada, first_name => 'New', email => 'none'), 'detail', ['email'],
        'of a valid and an invalid field only the invalid one is reported');
    is_deeply(profile($ada)->json, $before, 'no rejected request changed the profile');
    like(change_json($ada, profile_photo => 'x.png')->json->{profile_photo}[0], qr{multipart/form-data},
        'the error for a photo by JSON names multipart/form-data');
};

my $taken = user($other->{email});
change_names($other, username => unique('Grace'));
my $grace = profile($other)->json->{username};

my @password = (current_password => $ada->{password});

subtest 'Username and e-mail are unique without regard to case' => sub {
    is_invalid(change_names($ada, username => uc $grace), 'detail', ['username'],
        'a username that is taken in another case is rejected');
    is_invalid(change_names($ada, email => uc $other->{email}), 'detail', ['email'],
        'an e-mail that is taken in another case is rejected');
    is_invalid(change_form($ada, username => $grace, email => $other->{email}, @password), 'detail',
        [qw(email username)],
        'a taken username and a taken e-mail are reported together');
    is_invalid(change_names($ada, username => $other->{email}), 'detail', ['username'],
        "another user's e-mail is rejected as username");
    is_invalid(change_form($ada, email => $other->{email}, @password, profile_photo => file($png)), 'detail', ['email'],
        'a taken e-mail is rejected beside a photo');
    is_deeply([photos_of($ada_id)], [], 'the photo of a rejected request is not stored');
    is(profile($other)->json->{email}, $other->{email}, 'the other user keeps the e-mail');
};

subtest 'A user changes username and e-mail' => sub {
    my %names = (username => unique('ADA'), email => uc unique('new') . '@Example.com');
    is_profile(change_names($ada, %names), \%names, 'new names keep their case');
    my %lower = map { $_ => lc $names{$_} } keys %names;
    is_profile(change_form($ada, @password, %lower), \%lower, 'users can change the case of their own names');
    is_profile(change_names($ada, username => $names{email}), { username => $names{email} },
        'users may take their own e-mail as username');
    is_profile(change_names($ada, %names), \%names, 'the names can be changed back');
    is(profile($ada)->status, 200, 'the access token stays valid');
    is(api(GET => '/myprofile/', token => 'Token ' . $opaque->json->{auth_token})->status, 200,
        'the opaque token stays valid');
    is(log_in($_, $ada->{password})->status, 200, "login with the new name $_") for values %names;
    is(log_in($ada->{email}, $ada->{password})->status, 401, 'login with the old e-mail is rejected');
    ok(signup(email => $ada->{email}), 'another user can sign up with the old e-mail');
    $ada->{email} = $names{email};
};

my $url;

subtest 'Photos of four types are stored and served' => sub {
    for my $type (sort keys %sample) {
        my $old = $url;
        my $json = is_profile(change_form($ada, profile_photo => file($sample{$type}, 'x.txt', 'text/html')), {},
            "change to $type");
        $url = $json->{profile_photo};
        like($url, qr{^\Q$base\E/myprofile/photos/[0-9a-f]{64}\.$extension{$type}$},
            "$type: the URL is absolute and unguessable");
        is(profile($ada)->json->{profile_photo}, $url, "$type: the profile returns the same URL");
        my $photo = api(GET => path_of($url));
        is($photo->status, 200, "$type: the photo is served without a token");
        ok($photo->body eq $sample{$type}, "$type: the photo is served byte for byte");
        my $tag = $photo->header('ETag');
        is_deeply([map { $photo->header($_) } qw(Content-Type Cache-Control X-Content-Type-Options Content-Length)],
            [$type, 'public, max-age=31536000, immutable', 'nosniff', length $sample{$type}],
            "$type: the type comes from the content; the photo is cacheable for a year");
        like($tag, qr/^"[^"]+"$/, "$type: the ETag is strong");
        is_error(api(GET => path_of($old)), 'detail', 404, "$type: the URL of the replaced photo is not found") if $old;
    }
};

my ($path, $tag);

subtest 'Photos support conditional requests' => sub {
    ($path, $tag) = (path_of($url), api(GET => path_of($url))->header('ETag'));
    my ($got, $head) = map { api($_ => $path) } qw(GET HEAD);
    is_deeply([$head->status, $head->body,
            map { $head->header($_) } qw(ETag Content-Type Content-Length Cache-Control)],
        [200, '', map { $got->header($_) } qw(ETag Content-Type Content-Length Cache-Control)],
        'HEAD has the headers of GET and no body');
    for my $method (qw(GET HEAD)) {
        for my $match ($tag, "W/$tag", "\"x\", $tag", '*') {
            my $same = api($method => $path, headers => { 'If-None-Match' => $match });
            is_deeply([$same->status, $same->body, map { $same->header($_) } qw(ETag Cache-Control)],
                [304, '', $tag, 'public, max-age=31536000, immutable'],
                "$method with If-None-Match: $match returns 304");
        }
    }
    is(api(GET => $path, headers => { 'If-None-Match' => '"another"' })->status, 200,
        'If-None-Match with another tag returns 200');
    my $twice = raw_http("GET $path HTTP/1.1\r\nHost: x\r\nIf-None-Match: $tag\r\n\r\n"
            . "GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    like($twice, qr{^HTTP/1.1 304 .*?\r\n\r\nHTTP/1.1 200 .*"healthy"}s,
        'a kept connection serves the next request after a 304');
    unlike($twice =~ s/\r\n\r\n.*//sr, qr/^Content-/m, 'a 304 has no Content headers');
    is(api(GET => $path, headers => { 'If-Match' => '"another"' })->status, 412,
        'If-Match with another tag returns 412');
};

subtest 'Unknown photos are not found, and photos are read-only' => sub {
    is_error(api(GET => "/myprofile/photos/$_"), 'detail', 404, "there is no photo with the name $_")
        for 'none', '0' x 64 . '.png', '%27%20OR%201=1', $path =~ s{.*/}{}r =~ s/\.\w+$//r, $path =~ s{.*/}{}r . 'x';
    is_error(api(GET => '/myprofile/photos/'), 'detail', 404, 'photos cannot be listed');
    is_error(api($_ => $path), 'detail', 405, "$_ on a photo is not allowed") for qw(POST DELETE);
};

subtest 'Photos are removed on request' => sub {
    is_profile(change_json($ada, first_name => 'Ada'), { profile_photo => $url },
        'changing other fields keeps the photo');
    is_invalid(change_form($ada, email => $other->{email}, @password, profile_photo => ''), 'detail', ['email'],
        'a taken e-mail is rejected beside the removal of a photo');
    is(api(GET => $path)->status, 200, 'a rejected request removes no photo');
    my $left_empty = part("name=\"profile_photo\"; filename=\"\"\r\nContent-Type: application/octet-stream", '')
        . "--b--\r\n";
    is_profile(change_raw($ada, $left_empty), { profile_photo => $url }, 'a file field without a file keeps the photo');
    is_profile(change_form($ada, first_name => 'Ada', profile_photo => ''), { profile_photo => undef },
        'an empty string removes the photo');
    is_error(api(GET => $path), 'detail', 404, 'the URL of a photo removed by an empty string is not found');
    $url = upload($ada, $gif);
    is_profile(change_json($ada, profile_photo => undef), { profile_photo => undef }, 'null removes the photo');
    is_error(api(GET => path_of($url)), 'detail', 404, 'the URL of a photo removed by null is not found');
    is_deeply([photos_of($ada_id)], [], 'no photo is left in the database');
    is_profile(change_json($ada, profile_photo => undef), { profile_photo => undef },
        'null without a photo is accepted');
    isnt(upload($ada, $gif), upload($ada, $gif), 'uploading the same photo again gives another URL');
};

subtest 'Only pictures are accepted as photos' => sub {
    for my $content ('', 'GIF89a', '<svg xmlns="http://www.w3.org/2000/svg"/>', '<html>', substr($png, 0, 32),
        substr($png, 0, 16) . "\0" x 8 . substr($png, 24), "\xff\xd8\xff\xe0\0\x10JFIF", "RIFF\x1a\0\0\0WEBP",
        'BM' . "\0" x 60, 'x' x 70000) {
        my $reply = change_form($ada, profile_photo => file($content), first_name => 'x' x 151);
        is_invalid($reply, 'detail', [qw(first_name profile_photo)],
            'not a picture: ' . substr($content, 0, 8) =~ s/[^ -~]/./gr);
        like($reply->json->{profile_photo}[0], qr/JPEG, PNG, WebP or GIF/, 'the error names the accepted types');
    }
    is(change_form($ada, phone_number => '+12345678', profile_photo => file($png), is_mentor => 'no')->status, 400,
        'a photo beside an invalid field is rejected');
    is(scalar photos_of($ada_id), 1, 'one photo is stored');
    my ($stored) = photos_of($ada_id);
    is($stored->{media_type}, 'image/gif', 'the stored photo is the last accepted one');
    is(user($ada->{email})->{profile_photo}, $stored->{name}, 'the account names the stored photo');
    sql('DELETE FROM learnhub.photos WHERE user_id = ?', $ada_id);
    is(profile($ada)->json->{profile_photo}, undef, 'a photo deleted in the database is null in the profile');
};

my $limit = 8_388_608;

# A GIF of this size: its data are in more blocks, of at most 256 bytes.
sub padded {
    my ($size) = @_;
    my ($rest, $blocks) = ($size - length $gif, '');
    while ($rest) {
        my $length = $rest > 257 ? 256 : $rest == 257 ? 128 : $rest;
        $blocks .= chr($length - 1) . 'x' x ($length - 1);
        $rest -= $length;
    }
    return substr($gif, 0, -5) . $blocks . substr $gif, -5;
}

# A body in the chunked transfer coding.
sub chunked {
    my ($body) = @_;
    return join '', map({ sprintf("%x\r\n%s\r\n", length, $_) } $body =~ /(.{1,60000})/gs), "0\r\n\r\n";
}

# A multipart body with a photo.
sub with_photo { my ($content) = @_; return part('name="profile_photo"; filename="p"', $content) . "--b--\r\n" }

subtest 'The size of photos and bodies is limited' => sub {
    $url = upload($ada, padded($limit));
    ok(api(GET => path_of($url))->body eq padded($limit), 'a photo of the maximum size is served byte for byte');
    my $part = api(GET => path_of($url), headers => { Range => 'bytes=0-5' });
    is_deeply([$part->status, $part->body], [206, 'GIF89a'], 'a range of a photo is served');
    is_error(change_form($ada, profile_photo => file(padded($limit + 1))), 'detail', 413, qr/photo.*$limit/i,
        'a photo above the maximum size is rejected');
    is_error(change_form($ada, email => 'x', profile_photo => file(padded($limit + 1))), 'detail', 413,
        'the size of a photo is checked before other fields');
    is_error(change_form($ada, profile_photo => file(padded($limit + 70_000))), 'detail', 413, qr/photo.*$limit/i,
        'a body above the limit for photos is rejected');
    is_error(change_form($ada, profile_photo => file($gif), last_name => 'x' x 66_000), 'detail', 413,
        qr/besides the photo.*65536/, 'the parts besides the photo have a limit of their own');
    is_error(change($ada, json => { first_name => 'x' x 1_048_576 }), 'detail', 413, qr/1048576/,
        'a JSON body has a limit of its own');
    my $heading = "PATCH /myprofile/ HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer $ada->{token}\r\n"
        . "Content-Type: multipart/form-data; boundary=b\r\n";
    my $sent = raw_http("${heading}Transfer-Encoding: chunked\r\n\r\n" . chunked(with_photo(padded(300_000))));
    like($sent, qr{^HTTP/1.1 200 .*"profile_photo":"http}s, 'a chunked body is accepted');
    ok(api(GET => path_of(profile($ada)->json->{profile_photo}))->body eq padded(300_000),
        'a photo from a chunked body is stored byte for byte');
    like(raw_http("${heading}Transfer-Encoding: chunked\r\n\r\n" . chunked(with_photo(padded($limit + 70_000)))),
        qr{^HTTP/1.1 413 .*"detail"}s, 'a chunked body above the limit is rejected');
    my $expecting = raw_http("${heading}Content-Length: 99999999\r\nExpect: 100-continue\r\n\r\n", keep => 1);
    like($expecting, qr{^HTTP/1.1 413 }, 'a Content-Length above the limit is rejected before the body is read');
    unlike($expecting, qr/100 Continue/, 'the 413 comes without 100 Continue');
    like(raw_http(($heading =~ s/Authorization.*?\r\n//r) . "Content-Length: 1000000\r\nExpect: 100-continue\r\n\r\n",
            keep => 1, wait => 2), qr{^HTTP/1.1 401 }, 'a request without a token is rejected before the body is read');
    is_error(api(POST => '/users/signup', body => 'x' x 2_000_000,
            headers => { 'Content-Type' => 'multipart/form-data; boundary=b' }), 'located', 413, qr/16384/,
        'multipart bodies of public routes have their limit');
};

subtest 'Invalid multipart bodies are rejected' => sub {
    my $good = part('name="first_name"', 'Broken');
    my $end = "--b--\r\n";
    my %broken = (
        'empty' => '',
        'no boundary' => 'first_name=x',
        'another boundary' => ($good . $end) =~ s/--b/--c/gr,
        'the last boundary is missing' => $good,
        'cut in a header' => "--b\r\nContent-Dispo",
        'cut in a boundary' => $good . '--',
        'bytes after the end' => "$good${end}x",
        'bytes before the start' => "x\r\n$good$end",
        'bare line feeds' => ($good . $end) =~ s/\r//gr,
        'a part without a name' => part('filename="x"', 'x') . $good . $end,
        'a part without a disposition' => "--b\r\n\r\nx\r\n$good$end",
        'two parts of one name' => $good x 2 . $end,
        'two photos' => part('name="profile_photo"; filename="1"', $png)
            . part('name="profile_photo"; filename="2"', $gif) . $end,
        'invalid UTF-8' => part('name="first_name"', "Zo\xeb") . $end,
        'a zero byte' => part('name="first_name"', "a\0b") . $end,
        'invalid UTF-8 in a name' => part("name=\"\xff\"", 'x') . $end,
        'a Content-Transfer-Encoding' => part("name=\"a\"\r\nContent-Transfer-Encoding: base64", 'eA==') . $end,
        'long headers' => part('name="first_name"; x="' . 'x' x 5000 . '"', 'x') . $end,
        'many parts' => join('', map { part("name=\"n$_\"", '') } 1 .. 65) . $end,
    );
    $before = profile($ada)->json;
    for my $what (sort keys %broken) {
        my $reply = change_raw($ada, $broken{$what});
        is_invalid($reply, 'detail', ['non_field_errors'], "an invalid multipart body is rejected: $what");
        like($reply->json->{non_field_errors}[0], qr{^The body is not valid multipart/form-data: .*\.$},
            "the error names the format: $what");
    }
    is_invalid(change_raw($ada, $good . $end, $_), 'detail', ['non_field_errors'],
        "a Content-Type without a valid boundary is rejected: $_")
        for 'multipart/form-data', 'multipart/form-data; boundary=', 'multipart/form-data; boundary="b';
    is_error(change_raw($ada, $good . $end, $_), 'detail', 415, "an unsupported Content-Type is rejected: $_")
        for 'multipart/mixed; boundary=b', 'application/x-www-form-urlencoded', 'text/plain', 'image/png',
        'multipart/form-data; boundary=b; charset=latin1';
    is_error(api(POST => '/users/signup', body => $good . $end,
            headers => { 'Content-Type' => 'multipart/form-data; boundary=b' }), 'located', 415,
        'a route that takes no multipart body rejects it');
    is_deeply(profile($ada)->json, $before, 'no rejected request changed the profile');
    is_profile(change_raw($ada, $good . $end), { first_name => 'Broken' }, 'a valid body of the same kind is accepted');
};

my (@colours, @left);

subtest 'Concurrent uploads leave one photo' => sub {
    @colours = map { my $n = $_; $gif =~ s/\xff\xff\xff/chr($n) x 3/er } 1 .. 10;
    my @replies = parallel 10, sub {
        my ($i) = @_;
        return change_form($ada, profile_photo => file($colours[$i]), first_name => "N$i");
    };
    is_deeply([map { $_->{status} } @replies], [(200) x 10], 'ten concurrent uploads succeed');
    @left = photos_of($ada_id);
    is(scalar @left, 1, 'one photo is stored after concurrent uploads');
    $url = profile($ada)->json->{profile_photo};
    is($url, "$base/myprofile/photos/$left[0]{name}", 'the profile has the URL of the stored photo');
    my ($i) = profile($ada)->json->{first_name} =~ /^N(\d)$/;
    ok(api(GET => path_of($url))->body eq $colours[$i], 'photo and name come from the same request');
    is(scalar(grep { api(GET => path_of($_->{json}{profile_photo}))->status == 200 } @replies), 1,
        'the URLs of the nine replaced photos are not found');
};

# The account names the stored photo, or none is stored.
subtest 'Concurrent uploads and removals keep account and photos consistent' => sub {
    my $differ = 0;
    for my $round (1 .. 10) {
        my @mixed = parallel 6, sub {
            my ($n) = @_;
            return change_json($ada, profile_photo => undef) if $n % 2;
            return change_form($ada, profile_photo => file($colours[$n]));
        };
        my ($name) = map { $_->{profile_photo} } sql('SELECT profile_photo FROM learnhub.users WHERE id = ?', $ada_id);
        my $names = join ' ', map { $_->{name} } photos_of($ada_id);
        $differ++ if grep({ $_->{status} != 200 } @mixed) || $names ne ($name // '');
    }
    is($differ, 0, 'account and photos are consistent after concurrent uploads and removals');
    @left = do { upload($ada, $gif); photos_of($ada_id) };
    $url = profile($ada)->json->{profile_photo};
};

subtest 'Of concurrent requests for one username one succeeds' => sub {
    my @users = map { signup() } 1 .. 6;
    my $wanted = unique('wanted');
    my @replies = parallel 6, sub {
        my ($n) = @_;
        return change_names($users[$n], username => $n % 2 ? $wanted : uc $wanted);
    };
    is_deeply([sort map { $_->{status} } @replies], [200, (400) x 5], 'one of six requests gets the username');
    is_deeply([map { keys_of($_->{json}) } grep { $_->{status} == 400 } @replies], [(['username']) x 5],
        'the others get an error for username');
};

subtest 'Two servers serve the same photos, each with its own base URL' => sub {
    my $second = second_httpd("LearnHubPublicURL https://learn.example.com/base/\n");
    my $there = profile($ada, port => $second->port)->json->{profile_photo};
    is($there, "https://learn.example.com/base/myprofile/photos/$left[0]{name}",
        'the URL begins with LearnHubPublicURL');
    my ($here, $elsewhere) = map { api(GET => path_of($url), port => $_) } port(), $second->port;
    ok($here->body eq $elsewhere->body && $here->header('ETag') eq $elsewhere->header('ETag'),
        'two servers serve the same photo');
    my $moved = change($ada, port => $second->port, multipart => [profile_photo => file($png)])->json->{profile_photo};
    ok(api(GET => '/myprofile/photos/' . $moved =~ s{.*/}{}r)->body eq $png,
        'a photo uploaded on one server is served by the other');
    is_error(api(GET => path_of($url)), 'detail', 404, 'a photo replaced on one server is not found on the other');
    my $named = raw_http("GET /myprofile/ HTTP/1.1\r\nHost: me.example:81\r\nAuthorization: Bearer $ada->{token}\r\n"
            . "Connection: close\r\n\r\n");
    like($named, qr{"profile_photo":"http://me\.example:\d+/myprofile/photos/},
        'without LearnHubPublicURL the URL has the Host of the request');
};

subtest 'LearnHubAPI controls whether profiles are served' => sub {
    my $without = second_httpd("LearnHubAPI tutoring\n");
    unlike(api(GET => $_, port => $without->port)->header('Content-Type'), qr/json/,
        "$_ is not served without the mentoring API")
        for '/myprofile/', "/myprofile/photos/$left[0]{name}";
    my $with = second_httpd("LearnHubAPI mentoring\n");
    is(profile($ada, port => $with->port)->status, 200, 'a profile is served with the mentoring API alone');
};

subtest 'Deleting an account deletes its photo' => sub {
    my $gone = signup();
    my $gone_id = user_id($gone);
    $url = upload($gone, $gif);
    sql('DELETE FROM learnhub.users WHERE id = ?', $gone_id);
    is_deeply([photos_of($gone_id)], [], 'a deleted account has no photo');
    like(change_form($gone, profile_photo => file($gif))->status, qr/^40[14]$/,
        'a deleted account cannot upload a photo while its token is valid');
    is_error(api(GET => path_of($url)), 'detail', 404, 'the photo of a deleted account is not found');
};

done_testing();
