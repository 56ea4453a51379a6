# SPDX-License-Identifier: Apache-2.0
# Profiles: reading and changing one's own by JSON and by multipart/form-data, every field and what is wrong with it,
# photos and how they are served, and what happens when many change at once.
use strict;
use warnings;
use utf8;

use Encode qw(encode_utf8);
use LearnHub::Test;

my $keys = [sort qw(pk username first_name last_name email phone_number profile_photo is_mentor is_mentee is_active)];
my $ada = signup(first_name => 'Ada', last_name => 'King');
my $ada_id = user($ada->{email})->{id};
my $other = signup();
my $base = 'http://127.0.0.1:' . port();

# The smallest files of each kind whose header says all it has to.
my %sample = (
    'image/png' => "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\6\0\0\0\x1f\x15\xc4\x89" . "\r\n--\0\xff",
    'image/jpeg' => "\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0\xff\xc0\0\x0b\x08\0\1\0\1\1\1\x11\0\xff\xd9",
    'image/gif' => "GIF89a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\1\0\1\0\0\2\2D\1\0;",
    'image/webp' => "RIFF\x1a\0\0\0WEBPVP8L\x0d\0\0\0/\0\0\0\x10\7\x10\x11\x11\x88\x88\xfe\7\0",
);
my %ending = ('image/png' => 'png', 'image/jpeg' => 'jpg', 'image/gif' => 'gif', 'image/webp' => 'webp');
my ($png, $gif) = @sample{qw(image/png image/gif)};

sub profile { my ($who, %with) = @_; return api(GET => '/myprofile/', token => $who->{token}, %with) }
sub change { my ($who, %with) = @_; return api(PATCH => '/myprofile/', token => $who->{token}, %with) }
sub change_json { my ($who, %fields) = @_; return change($who, json => \%fields) }
sub change_form { my ($who, @fields) = @_; return change($who, multipart => \@fields) }

# A file of a multipart body.
sub file { my ($content, $name, $type) = @_; return [undef, $name // 'photo.png', 'Content-Type' => $type // 'image/png', Content => $content] }

# A body as it is written here.
sub change_raw {
    my ($who, $body, $type) = @_;
    $type //= 'multipart/form-data; boundary=b';
    return change($who, body => $body, headers => { 'Content-Type' => $type });
}

sub part { my ($head, $data) = @_; return "--b\r\nContent-Disposition: form-data; $head\r\n\r\n$data\r\n" }

sub upload {
    my ($who, $content) = @_;
    my $reply = change_form($who, profile_photo => file($content));
    $reply->status == 200 or die $reply->summary;
    return $reply->json->{profile_photo};
}

sub path_of { my ($url) = @_; return $url =~ s{^http://[^/]+}{}r }
sub photos_of { my ($id) = @_; return sql('SELECT * FROM learnhub.photos WHERE user_id = ?', $id) }

sub is_profile {
    my ($reply, $expected, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is($reply->status, 200, "$name: status") || diag($reply->summary);
    my $json = $reply->json;
    is_deeply(keys_of($json), $keys, "$name: keys");
    ok(JSON::XS::is_bool($json->{$_}), "$name: $_ is a boolean") for qw(is_mentor is_mentee is_active);
    is_deeply({ map { $_ => $json->{$_} } keys %$expected }, $expected, "$name: values");
    return $json;
}

# ---- reading ----

my $first = { pk => $ada_id, username => $ada->{email}, first_name => 'Ada', last_name => 'King', email => $ada->{email},
    phone_number => undef, profile_photo => undef, is_mentor => false, is_mentee => false, is_active => true };
is_profile(profile($ada), $first, 'a new profile');
is_profile(api(GET => '/myprofile', token => $ada->{token}), $first, 'without the last slash');
is_deeply([map { $_->status, $_->body } api(HEAD => '/myprofile/', token => $ada->{token})], [200, ''], 'HEAD');
is(profile($ada)->header('Cache-Control'), 'no-store', 'nobody keeps it');
for my $method (qw(GET PATCH)) {
    is_refusal(api($method => '/myprofile/'), 'plain', 401);
    is_refusal(api($method => '/myprofile/', token => 'no.such.token'), 'plain', 401, "$method with a bad token");
}
is_refusal(api($_ => '/myprofile/', token => $ada->{token}), 'plain', 405) for qw(POST PUT DELETE);
is_refusal(api(GET => '/myprofile/else', token => $ada->{token}), 'plain', 404);
my $opaque = api(POST => '/auth/token/login/', json => { username => $ada->{email}, password => $ada->{password} });
is(api(GET => '/myprofile/', token => 'Token ' . $opaque->json->{auth_token})->status, 200, 'an opaque token');

# ---- changing ----

my %new = (first_name => "Zo\x{eb}", last_name => 'Müller', phone_number => '+12345678987', is_mentor => true, is_mentee => true);
is_profile(change_json($ada, %new), { %$first, %new }, 'JSON');
is_profile(profile($ada), { %$first, %new }, 'and it stays');
is_profile(change_json($ada), { %$first, %new }, 'nothing to change');
is_profile(change($ada), { %$first, %new }, 'no body');
is_profile(change_json($ada, pk => 1, is_active => false, role => 'admin', id => 5, unknown => [1]), { %$first, %new },
    'read-only and unknown fields are ignored');
is(profile($ada)->status, 200, 'nobody deactivates themselves by a form');
is_profile(change_form($ada, first_name => 'Ada', last_name => encode_utf8('Łukasz'), phone_number => ' +4915112345678 ',
        is_mentor => 'False', is_mentee => '0', is_active => 'false', unknown => 'x', more => file('anything', 'x.txt')),
    { %$first, last_name => 'Łukasz', phone_number => '+4915112345678' }, 'multipart');
is_profile(change_raw($ada, "--b--\r\n"), { %$first, last_name => 'Łukasz', phone_number => '+4915112345678' }, 'no parts');
is_profile(change_form($ada, first_name => '', last_name => '  '), { first_name => '', last_name => '' },
    'names may be blank');
is_profile(change_json($ada, last_name => '', first_name => 'x' x 150), { last_name => '', first_name => 'x' x 150 },
    'names have up to 150 characters');

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
    is(change_form($ada, is_mentor => 1)->json->{is_mentor}, true, 'multipart: a mentor');
    is(change_form($ada, is_mentor => $value)->json->{is_mentor}, false, "multipart: $value is false");
}

for my $clear (sub { change_json($ada, phone_number => undef) }, sub { change_json($ada, phone_number => '') },
    sub { change_form($ada, phone_number => '') }) {
    is(change_json($ada, phone_number => '+12345678')->json->{phone_number}, '+12345678', 'a phone number');
    is(change_json($ada, first_name => 'A')->json->{phone_number}, '+12345678', 'which is left alone');
    is($clear->()->json->{phone_number}, undef, 'and taken away');
    is(user($ada->{email})->{phone_number}, undef, 'it is NULL then');
}

# ---- wrong fields ----

my @wrong = (
    [username => ''], [username => '  '], [username => 'x' x 151], [username => "a\nb"], [first_name => 'x' x 151],
    [last_name => 'x' x 151], [email => ''], [email => 'ada'], [email => 'ada@'], [email => '@example.com'],
    [email => 'a@b@example.com'], [email => 'x' x 250 . '@example.com'], [phone_number => '12345678987'],
    [phone_number => '+1234567'], [phone_number => '+1234567890123456'], [phone_number => '+1 234 567 8987'],
    [phone_number => '+0123456789'], [phone_number => '+12345678x'], [phone_number => 'null'], [is_mentor => 'yes'],
    [is_mentor => ''], [is_mentee => '2'], [is_mentee => 'null'], [profile_photo => 'https://example.com/a.png'],
    [profile_photo => 'null'],
);
my $before = profile($ada)->json;
for my $case (@wrong) {
    my ($field, $value) = @$case;
    my $name = "$field " . substr($value, 0, 20) =~ s/\n/\\n/r;
    is_invalid(change_json($ada, %$before{first_name}, $field => $value), 'plain', [$field], "JSON: $name");
    is_invalid(change_form($ada, $field => $value), 'plain', [$field], "multipart: $name");
}
for my $case ([username => undef], [username => 5], [first_name => undef], [email => undef], [email => 5],
    [phone_number => 12345678], [is_mentor => undef], [is_mentor => 2], [profile_photo => 5], [profile_photo => ''], [profile_photo => true],
    [profile_photo => {}], [last_name => []]) {
    is_invalid(change_json($ada, @$case), 'plain', [$case->[0]], 'JSON: ' . JSON::XS->new->encode($case));
}
my @fields = qw(email is_mentor phone_number profile_photo username);
is_invalid(change_json($ada, map { $_ => '!' x 200 } @fields), 'plain', \@fields, 'JSON: all wrong fields at once');
is_invalid(change_form($ada, map { $_ => '!' x 200 } @fields), 'plain', \@fields, 'multipart: all wrong fields at once');
is_invalid(change_form($ada, username => file('ada', 'ada.txt')), 'plain', ['username'], 'a file for a name');
is_invalid(change_json($ada, first_name => 'New', email => 'none'), 'plain', ['email'], 'a good and a wrong one');
is_deeply(profile($ada)->json, $before, 'and nothing has changed by any of these');
like(change_json($ada, profile_photo => 'x.png')->json->{profile_photo}[0], qr{multipart/form-data}, 'how to send a photo');

# ---- username and e-mail ----

my $taken = user($other->{email});
change_json($other, username => unique('Grace'));
my $grace = profile($other)->json->{username};
is_invalid(change_json($ada, username => uc $grace), 'plain', ['username'], 'a taken username, in other letters');
is_invalid(change_json($ada, email => uc $other->{email}), 'plain', ['email'], 'a taken e-mail, in other letters');
is_invalid(change_form($ada, username => $grace, email => $other->{email}), 'plain', [qw(email username)], 'both at once');
is_invalid(change_json($ada, username => $other->{email}), 'plain', ['username'], "another's e-mail is no username");
is_invalid(change_form($ada, email => $other->{email}, profile_photo => file($png)), 'plain', ['email'],
    'a taken e-mail with a photo');
is_deeply([photos_of($ada_id)], [], 'and the photo is not kept');
is(profile($other)->json->{email}, $other->{email}, 'the other one keeps it');
my %names = (username => unique('ADA'), email => uc unique('new') . '@Example.com');
is_profile(change_json($ada, %names), \%names, 'new names, as they were spelt');
is_profile(change_form($ada, map { $_ => lc $names{$_} } keys %names), { map { $_ => lc $names{$_} } keys %names },
    "one's own names in other letters");
is_profile(change_json($ada, username => $names{email}), { username => $names{email} }, "one's own e-mail as username");
is_profile(change_json($ada, %names), \%names, 'and back');
is(profile($ada)->status, 200, 'the token goes on working');
is(api(GET => '/myprofile/', token => 'Token ' . $opaque->json->{auth_token})->status, 200, 'and the opaque one');
is(api(POST => '/users/login', form => { username => $_, password => $ada->{password} })->status, 200, "a login as $_")
    for values %names;
is(api(POST => '/users/login', form => { username => $ada->{email}, password => $ada->{password} })->status, 401,
    'the old e-mail is free');
is(change_json($other, username => $ada->{email})->status, 200, 'for somebody else');
$ada->{email} = $names{email};

# ---- photos ----

my $url;
for my $type (sort keys %sample) {
    my $old = $url;
    my $json = is_profile(change_form($ada, profile_photo => file($sample{$type}, 'x.txt', 'text/html')), {}, $type);
    $url = $json->{profile_photo};
    like($url, qr{^\Q$base\E/myprofile/photos/[0-9a-f]{64}\.$ending{$type}$}, "$type: an absolute URL");
    is(profile($ada)->json->{profile_photo}, $url, "$type: it stays");
    my $photo = api(GET => path_of($url));
    is($photo->status, 200, "$type: served without a token");
    ok($photo->body eq $sample{$type}, "$type: byte by byte");
    my $tag = $photo->header('ETag');
    is_deeply([map { $photo->header($_) } qw(Content-Type Cache-Control X-Content-Type-Options Content-Length)],
        [$type, 'public, max-age=31536000, immutable', 'nosniff', length $sample{$type}], "$type: headers");
    like($tag, qr/^"[^"]+"$/, "$type: a strong ETag");
    is_refusal(api(GET => path_of($old)), 'plain', 404, "$type: the photo before it is gone") if $old;
}
my ($path, $tag) = (path_of($url), api(GET => path_of($url))->header('ETag'));
my ($got, $head) = map { api($_ => $path) } qw(GET HEAD);
is_deeply([$head->status, $head->body, map { $head->header($_) } qw(ETag Content-Type Content-Length Cache-Control)],
    [200, '', map { $got->header($_) } qw(ETag Content-Type Content-Length Cache-Control)], 'HEAD of a photo');
for my $method (qw(GET HEAD)) {
    for my $match ($tag, "W/$tag", "\"x\", $tag", '*') {
        my $same = api($method => $path, headers => { 'If-None-Match' => $match });
        is_deeply([$same->status, $same->body, map { $same->header($_) } qw(ETag Cache-Control)],
            [304, '', $tag, 'public, max-age=31536000, immutable'], "$method with If-None-Match: $match");
    }
}
is(api(GET => $path, headers => { 'If-None-Match' => '"another"' })->status, 200, 'another tag');
my $twice = raw_http("GET $path HTTP/1.1\r\nHost: x\r\nIf-None-Match: $tag\r\n\r\nGET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
like($twice, qr{^HTTP/1.1 304 .*?\r\n\r\nHTTP/1.1 200 .*"healthy"}s, 'the connection goes on behind a 304');
unlike($twice =~ s/\r\n\r\n.*//sr, qr/^Content-/m, 'which has nothing to describe');
is(api(GET => $path, headers => { 'If-Match' => '"another"' })->status, 412, 'If-Match another tag');
is_refusal(api(GET => "/myprofile/photos/$_"), 'plain', 404, "no photo is called $_")
    for 'none', '0' x 64 . '.png', '%27%20OR%201=1', $path =~ s{.*/}{}r =~ s/\.\w+$//r, $path =~ s{.*/}{}r . 'x';
is_refusal(api(GET => '/myprofile/photos/'), 'plain', 404);
is_refusal(api($_ => $path), 'plain', 405) for qw(POST DELETE);

is_profile(change_json($ada, first_name => 'Ada'), { profile_photo => $url }, 'other changes leave it alone');
my $left_empty = part("name=\"profile_photo\"; filename=\"\"\r\nContent-Type: application/octet-stream", '') . "--b--\r\n";
is_profile(change_raw($ada, $left_empty), { profile_photo => $url }, 'a file field that was left empty');
is_profile(change_form($ada, first_name => 'Ada', profile_photo => ''), { profile_photo => undef }, 'an empty text removes it');
is_refusal(api(GET => $path), 'plain', 404, 'it is gone');
$url = upload($ada, $gif);
is_profile(change_json($ada, profile_photo => undef), { profile_photo => undef }, 'null removes it');
is_refusal(api(GET => path_of($url)), 'plain', 404, 'it is gone, too');
is_deeply([photos_of($ada_id)], [], 'nothing is left of it');
is_profile(change_json($ada, profile_photo => undef), { profile_photo => undef }, 'null without a photo');
isnt(upload($ada, $gif), upload($ada, $gif), 'the same photo again has another URL');

for my $content ('', 'GIF89a', '<svg xmlns="http://www.w3.org/2000/svg"/>', '<html>', substr($png, 0, 32),
    substr($png, 0, 16) . "\0" x 8 . substr($png, 24), "\xff\xd8\xff\xe0\0\x10JFIF", "RIFF\x1a\0\0\0WEBP", 'BM' . "\0" x 60, 'x' x 70000) {
    my $reply = change_form($ada, profile_photo => file($content), first_name => 'x' x 151);
    is_invalid($reply, 'plain', [qw(first_name profile_photo)], 'no picture: ' . substr($content, 0, 8) =~ s/[^ -~]/./gr);
    like($reply->json->{profile_photo}[0], qr/JPEG, PNG, WebP or GIF/, 'and what would be one');
}
is(change_form($ada, phone_number => '+12345678', profile_photo => file($png), is_mentor => 'no')->status, 400,
    'a photo beside a wrong field');
is(scalar photos_of($ada_id), 1, 'there is one photo');
my ($stored) = photos_of($ada_id);
is($stored->{media_type}, 'image/gif', 'still the last good one');
is(user($ada->{email})->{profile_photo}, $stored->{name}, 'which the account names');
sql('DELETE FROM learnhub.photos WHERE user_id = ?', $ada_id);
is(profile($ada)->json->{profile_photo}, undef, 'a photo that is deleted in the database is named no more');

# ---- limits ----

my $limit = 2_097_152;
sub padded { my ($size) = @_; return $gif . 'x' x ($size - length $gif) }
$url = upload($ada, padded($limit));
ok(api(GET => path_of($url))->body eq padded($limit), 'a photo of the limit, byte by byte');
my $part = api(GET => path_of($url), headers => { Range => 'bytes=0-5' });
is_deeply([$part->status, $part->body], [206, 'GIF89a'], 'a range of it');
is_refusal(change_form($ada, profile_photo => file(padded($limit + 1))), 'plain', 413, qr/photo.*$limit/i, 'a photo above the limit');
is_refusal(change_form($ada, email => 'x', profile_photo => file(padded($limit + 1))), 'plain', 413, 'whatever else is wrong');
is_refusal(change_form($ada, profile_photo => file(padded($limit + 70_000))), 'plain', 413, qr/body/, 'a body above it');
is_refusal(change($ada, json => { first_name => 'x' x 1_048_576 }), 'plain', 413, qr/1048576/, 'the limit of JSON is its own');
my $heading = "PATCH /myprofile/ HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer $ada->{token}\r\n"
    . "Content-Type: multipart/form-data; boundary=b\r\n";
sub chunked { my ($body) = @_; return join '', map({ sprintf("%x\r\n%s\r\n", length, $_) } $body =~ /(.{1,60000})/gs), "0\r\n\r\n" }
sub with_photo { my ($content) = @_; return part('name="profile_photo"; filename="p"', $content) . "--b--\r\n" }
my $sent = raw_http("${heading}Transfer-Encoding: chunked\r\n\r\n" . chunked(with_photo(padded(300_000))));
like($sent, qr{^HTTP/1.1 200 .*"profile_photo":"http}s, 'a chunked body');
ok(api(GET => path_of(profile($ada)->json->{profile_photo}))->body eq padded(300_000), 'byte by byte');
like(raw_http("${heading}Transfer-Encoding: chunked\r\n\r\n" . chunked(with_photo(padded($limit + 70_000)))),
    qr{^HTTP/1.1 413 .*"detail"}s, 'a chunked body above the limit');
my $expecting = raw_http("${heading}Content-Length: 99999999\r\nExpect: 100-continue\r\n\r\n", keep => 1);
like($expecting, qr{^HTTP/1.1 413 }, 'too much is refused before it is sent for');
unlike($expecting, qr/100 Continue/, 'and nobody is told to go on');
like(raw_http(($heading =~ s/Authorization.*?\r\n//r) . "Content-Length: 1000000\r\nExpect: 100-continue\r\n\r\n", keep => 1,
        wait => 2), qr{^HTTP/1.1 401 }, 'without a token a photo is not sent for');
is_refusal(api(POST => '/users/signup', body => 'x' x 2_000_000, headers => { 'Content-Type' => 'multipart/form-data; boundary=b' }),
    'practice', 413, 'elsewhere a multipart body has the limit of JSON');

# ---- multipart bodies that are none ----

my $good = part('name="first_name"', 'Broken');
my $end = "--b--\r\n";
my %broken = (
    'empty' => '', 'no boundary' => 'first_name=x', 'another boundary' => ($good . $end) =~ s/--b/--c/gr,
    'the last boundary is missing' => $good, 'cut in a header' => "--b\r\nContent-Dispo", 'cut in a boundary' => $good . '--',
    'something behind the end' => "$good${end}x", 'something before the start' => "x\r\n$good$end",
    'bare line feeds' => ($good . $end) =~ s/\r//gr, 'a part without a name' => part('filename="x"', 'x') . $good . $end,
    'a part without a disposition' => "--b\r\n\r\nx\r\n$good$end", 'two of a name' => $good x 2 . $end,
    'two photos' => part('name="profile_photo"; filename="1"', $png) . part('name="profile_photo"; filename="2"', $gif) . $end,
    'bad UTF-8' => part('name="first_name"', "Zo\xeb") . $end, 'a zero byte' => part('name="first_name"', "a\0b") . $end,
    'a bad name' => part("name=\"\xff\"", 'x') . $end, 'an encoding' => part("name=\"a\"\r\nContent-Transfer-Encoding: base64", 'eA==') . $end,
    'long headers' => part('name="first_name"; x="' . 'x' x 5000 . '"', 'x') . $end,
    'many parts' => join('', map { part("name=\"n$_\"", '') } 1 .. 65) . $end,
);
$before = profile($ada)->json;
for my $what (sort keys %broken) {
    my $reply = change_raw($ada, $broken{$what});
    is_invalid($reply, 'plain', ['non_field_errors'], "a body with $what");
    like($reply->json->{non_field_errors}[0], qr{^The body is not valid multipart/form-data: .*\.$}, 'and a sentence');
}
is_invalid(change_raw($ada, $good . $end, $_), 'plain', ['non_field_errors'], $_)
    for 'multipart/form-data', 'multipart/form-data; boundary=', 'multipart/form-data; boundary="b';
is_refusal(change_raw($ada, $good . $end, $_), 'plain', 415, $_)
    for 'multipart/mixed; boundary=b', 'application/x-www-form-urlencoded', 'text/plain', 'image/png',
    'multipart/form-data; boundary=b; charset=latin1';
is_refusal(api(POST => '/users/signup', body => $good . $end, headers => { 'Content-Type' => 'multipart/form-data; boundary=b' }),
    'practice', 415, 'a row that takes no multipart');
is_deeply(profile($ada)->json, $before, 'and nothing has changed by any of these');
is_profile(change_raw($ada, $good . $end), { first_name => 'Broken' }, 'the same without a fault');

# ---- at once, and on another node ----

my @colours = map { my $n = $_; $gif =~ s/\xff\xff\xff/chr($n) x 3/er } 1 .. 10;
my @replies = parallel(10, sub { my ($i) = @_; return change_form($ada, profile_photo => file($colours[$i]), first_name => "N$i") });
is_deeply([map { $_->{status} } @replies], [(200) x 10], 'ten photos at once');
my @left = photos_of($ada_id);
is(scalar @left, 1, 'leave one');
$url = profile($ada)->json->{profile_photo};
is($url, "$base/myprofile/photos/$left[0]{name}", 'which the profile shows');
my ($i) = profile($ada)->json->{first_name} =~ /^N(\d)$/;
ok(api(GET => path_of($url))->body eq $colours[$i], 'together with the name that came with it');
is(scalar(grep { api(GET => path_of($_->{json}{profile_photo}))->status == 200 } @replies), 1, 'all others are gone');

# What the account names and what is stored stay the same thing while photos come and go.
my $differ = 0;
for my $round (1 .. 10) {
    my @mixed = parallel(6, sub {
            my ($n) = @_;
            return $n % 2 ? change_json($ada, profile_photo => undef) : change_form($ada, profile_photo => file($colours[$n]));
    });
    my ($name) = map { $_->{profile_photo} } sql('SELECT profile_photo FROM learnhub.users WHERE id = ?', $ada_id);
    my $names = join ' ', map { $_->{name} } photos_of($ada_id);
    $differ++ if grep({ $_->{status} != 200 } @mixed) || $names ne ($name // '');
}
is($differ, 0, 'photos and removals at once');
@left = do { upload($ada, $gif); photos_of($ada_id) };
$url = profile($ada)->json->{profile_photo};

my @rivals = map { signup() } 1 .. 6;
my $wanted = unique('wanted');
my @claims = parallel(6, sub { my ($n) = @_; return change_json($rivals[$n], username => $n % 2 ? $wanted : uc $wanted) });
is_deeply([sort map { $_->{status} } @claims], [200, (400) x 5], 'one of six gets a name');
is_deeply([map { keys_of($_->{json}) } grep { $_->{status} == 400 } @claims], [(['username']) x 5],
    'the others are told which field');

my $second = second_httpd("LearnHubPublicURL https://learn.example.com/base/\n");
my $there = profile($ada, port => $second->port)->json->{profile_photo};
is($there, "https://learn.example.com/base/myprofile/photos/$left[0]{name}", 'LearnHubPublicURL begins the URL');
my ($here, $elsewhere) = map { api(GET => path_of($url), port => $_) } port(), $second->port;
ok($here->body eq $elsewhere->body && $here->header('ETag') eq $elsewhere->header('ETag'), 'both nodes serve the same photo');
my $moved = change($ada, port => $second->port, multipart => [profile_photo => file($png)])->json->{profile_photo};
ok(api(GET => '/myprofile/photos/' . $moved =~ s{.*/}{}r)->body eq $png, 'a photo sent there is served here');
is_refusal(api(GET => path_of($url)), 'plain', 404, 'and the one before is gone here');
my $named = raw_http("GET /myprofile/ HTTP/1.1\r\nHost: me.example:81\r\nAuthorization: Bearer $ada->{token}\r\nConnection: close\r\n\r\n");
like($named, qr{"profile_photo":"http://me\.example:\d+/myprofile/photos/}, 'otherwise the URL is as the request came');
my $without = second_httpd("LearnHubAPI tutoring\n");
unlike(api(GET => $_, port => $without->port)->header('Content-Type'), qr/json/, "$_ is not served without mentoring")

    for '/myprofile/', "/myprofile/photos/$left[0]{name}";
my $with = second_httpd("LearnHubAPI mentoring\n");
is(profile($ada, port => $with->port)->status, 200, 'and it is with it');

# ---- the end of an account ----

my $gone = signup();
my $gone_id = user($gone->{email})->{id};
$url = upload($gone, $gif);
sql('DELETE FROM learnhub.users WHERE id = ?', $gone_id);
is_deeply([photos_of($gone_id)], [], 'a deleted account leaves no photo');
like(change_form($gone, profile_photo => file($gif))->status, qr/^40[14]$/, 'nor does it get one while its token lives');
is_refusal(api(GET => path_of($url)), 'plain', 404, 'its URL ends');

done_testing();
