using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using CsCheck;
using MailPipeline.Testing;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

namespace MailPipeline.Mail.Tests;

/// <summary>What a token is worth, with an issuer that is there, away, silent, or sends nonsense.</summary>
public sealed class TokenVerifierTests : IAsyncDisposable
{
    private readonly FakeTimeProvider _time = new();
    private readonly OpenIdIssuer _issuer;
    private readonly List<TokenVerifier> _verifiers = [];

    public TokenVerifierTests() => _issuer = new OpenIdIssuer(_time);

    public async ValueTask DisposeAsync()
    {
        _verifiers.ForEach(verifier => verifier.Dispose());
        await _issuer.DisposeAsync();
    }

    private async Task<TokenVerifier> StartAsync(Action<OpenIdOptions>? change = null)
    {
        _issuer.Add(IssuerKey.Rsa("rsa-1"));
        await _issuer.StartAsync();
        return Verifier(change);
    }

    private TokenVerifier Verifier(Action<OpenIdOptions>? change = null)
    {
        var options = new OpenIdOptions { Issuer = _issuer.Address, Audiences = ["pop", "mail"], AllowLoopbackHttp = true };
        change?.Invoke(options);
        var verifier = new TokenVerifier(options, _time, NullLogger<TokenVerifier>.Instance);
        _verifiers.Add(verifier);
        return verifier;
    }

    [Fact]
    public async Task Tokens_of_the_issuer_are_taken_by_any_of_its_keys()
    {
        var verifier = await StartAsync();
        foreach (var key in new[] { IssuerKey.Ec("ec/1 \u00E9\"'\r\n"), IssuerKey.Rsa("rsa-2", "PS256"), IssuerKey.Rsa("../../etc/passwd") })
            _issuer.Add(key);
        foreach (var key in _issuer.Keys)
        {
            Assert.Equal(new TokenLook("ann@example.org"), await verifier.LookAsync(_issuer.Token("ann@example.org", key: key), default));
            // Which key it is need not be said.
            Assert.Equal(new TokenLook("ann@example.org"), await verifier.LookAsync(_issuer.Token("ann@example.org", header: head => head.Remove("kid"), key: key), default));
        }

        Assert.Equal(new TokenLook("ann@example.org"), await verifier.LookAsync(_issuer.Token("ann@example.org", claims => claims["aud"] = new JsonArray("web", "pop")), default));
        Assert.Equal(1, _issuer.Fetches);
    }

    [Fact]
    public async Task Tokens_that_are_wrong_in_some_way_are_refused_and_the_log_can_say_why()
    {
        var verifier = await StartAsync(options => options.RequiredScope = "mail.login");
        var other = IssuerKey.Rsa("rsa-1");
        var ec = _issuer.Add(IssuerKey.Ec("ec-1"));
        var rsa = _issuer.Add(IssuerKey.Rsa("rsa-2"));
        foreach (var (token, refusal, isForged) in new (string, string, bool)[]
        {
            (Changed(claims => claims["exp"] = Now - 61), "expired, or not valid yet", false),
            (Changed(claims => claims.Remove("exp")), "expired, or not valid yet", false),
            (Changed(claims => claims["nbf"] = Now + 61), "expired, or not valid yet", false),
            (Changed(claims => claims["aud"] = "web"), "for another audience", false),
            (Changed(claims => claims["aud"] = "Mail"), "for another audience", false),
            (Changed(claims => claims.Remove("aud")), "for another audience", false),
            (Changed(claims => claims["iss"] = _issuer.Address + "/"), "of another issuer", true),
            (Changed(claims => claims["iss"] = "https://evil.example"), "of another issuer", true),
            (Changed(claims => claims.Remove("iss")), "of another issuer", true),
            (Changed(claims => claims.Remove("email")), "without the claim email", false),
            (Changed(claims => claims["email"] = 7), "without the claim email", false),
            (Changed(claims => claims["email"] = new JsonArray("ann@example.org")), "without the claim email", false),
            (Changed(claims => claims["email_verified"] = false), "of an address that the issuer has not verified", false),
            (Changed(claims => claims["email_verified"] = 1), "of an address that the issuer has not verified", false),
            (Changed(claims => claims.Remove("email_verified")), "of an address that the issuer has not verified", false),
            (Changed(claims => claims["scope"] = "openid mail.login.more"), "without the scope mail.login", false),
            (Changed(claims => claims.Remove("scope")), "without the scope mail.login", false),
            (_issuer.Token("ann@example.org", key: other), "signed by no key of the issuer", true),
            (_issuer.Token("ann@example.org", header: head => head["kid"] = "no such key"), "signed by no key of the issuer", true),
            (_issuer.Token("ann@example.org", header: head => head["kid"] = "ec-1"), "signed by no key of the issuer", true),
            (_issuer.Token("ann@example.org", header: head => head["alg"] = "ES256"), "signed by no key of the issuer", true),
            (_issuer.Token("ann@example.org", header: head => head["alg"] = "rs256"), "signed by an algorithm that is not taken", true),
            (_issuer.Token("ann@example.org", header: head => head["crit"] = new JsonArray("exp")), "of a form that is not taken", true),
            (Unsigned("none", ""), "no signed token", true),
            (Unsigned("none", "AAAA"), "signed by an algorithm that is not taken", true),
            (Unsigned("None", "AAAA"), "signed by an algorithm that is not taken", true),
            (Symmetric(rsa, ((RSA)rsa.Key).ExportSubjectPublicKeyInfo()), "signed by an algorithm that is not taken", true),
            (Symmetric(rsa, Encoding.ASCII.GetBytes(((RSA)rsa.Key).ExportSubjectPublicKeyInfoPem())), "signed by an algorithm that is not taken", true),
            (Symmetric(rsa, Encoding.ASCII.GetBytes(rsa.Public().ToJsonString())), "signed by an algorithm that is not taken", true),
            ("", "no signed token", true),
            ("opaque", "no signed token", true),
            ("a.b.c", "no signed token", true),
            ("a.b.c.d.e", "no signed token", true),
            (new string('.', 10_000), "no signed token", true),
            (Base64Url.EncodeToString("[]"u8) + "." + Base64Url.EncodeToString("{}"u8) + ".AAAA", "no signed token", true),
            (Base64Url.EncodeToString("{\"alg\":7}"u8) + "." + Base64Url.EncodeToString("{}"u8) + ".AAAA", "", true),
        })
        {
            var look = await verifier.LookAsync(token, default);
            if (refusal.Length > 0)
                Assert.Equal((refusal, token), (look.Refusal, token));
            Assert.Equal((true, isForged, ""), (look.Refusal is not null, look.IsForged, look.UserName));
        }

        Assert.Null((await verifier.LookAsync(Changed(claims => claims["scope"] = new JsonArray("a", "mail.login")), default)).Refusal);
        Assert.Null((await verifier.LookAsync(Changed(claims => (claims["scope"], claims["scp"]) = (null, "mail.login")), default)).Refusal);
        Assert.Null((await verifier.LookAsync(Changed(claims => claims["email_verified"] = "true"), default)).Refusal);
        Assert.Null((await verifier.LookAsync(Changed(claims => claims["exp"] = Now - 59), default)).Refusal);
        Assert.Null((await verifier.LookAsync(_issuer.Token("ann@example.org", key: ec), default)).Refusal);
    }

    private long Now => _time.GetUtcNow().ToUnixTimeSeconds();

    private string Changed(Action<JsonObject> change) => _issuer.Token("ann@example.org", change);

    private string Unsigned(string algorithm, string signature) =>
        $"{Base64Url.EncodeToString(Encoding.UTF8.GetBytes($$"""{"alg":"{{algorithm}}"}"""))}.{_issuer.Token("ann@example.org").Split('.')[1]}.{signature}";

    private string Symmetric(IssuerKey key, byte[] secret)
    {
        var signed = $"{Base64Url.EncodeToString(Encoding.UTF8.GetBytes($$"""{"alg":"HS256","kid":"{{key.Id}}"}"""))}.{_issuer.Token("ann@example.org").Split('.')[1]}";
        return $"{signed}.{Base64Url.EncodeToString(HMACSHA256.HashData(secret, Encoding.ASCII.GetBytes(signed)))}";
    }

    [Fact]
    public async Task The_claim_that_names_the_account_is_a_setting_and_only_email_must_be_verified()
    {
        var verifier = await StartAsync(options => options.AccountClaim = "upn");
        Assert.Equal("ann@example.org", (await verifier.LookAsync(_issuer.Token("bob@example.org", claims => (claims["upn"], claims["email_verified"]) = ("ann@example.org", false)), default)).UserName);
        var trusting = Verifier(options => options.RequireVerifiedEmail = false);
        Assert.Equal("ann@example.org", (await trusting.LookAsync(Changed(claims => claims.Remove("email_verified")), default)).UserName);
    }

    [Fact]
    public async Task Keys_too_short_and_secrets_among_the_keys_are_not_taken()
    {
        var shortKey = IssuerKey.Rsa("short", bits: 1024);
        _issuer.KeySet = new JsonObject
        {
            ["keys"] = new JsonArray(IssuerKey.Rsa("another").Public(), shortKey.Public(), new JsonObject { ["kty"] = "oct", ["kid"] = "rsa-2", ["k"] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" }),
        }.ToJsonString();
        var verifier = await StartAsync();
        Assert.True((await verifier.LookAsync(_issuer.Token("ann@example.org", key: shortKey), default)).IsForged);
        Assert.True((await verifier.LookAsync(Symmetric(new IssuerKey("rsa-2", RSA.Create(), ""), new byte[32]), default)).IsForged);
    }

    [Fact]
    public async Task A_new_key_is_found_when_it_is_first_used_and_tokens_of_no_key_make_few_fetches()
    {
        var verifier = await StartAsync();
        Assert.Null((await verifier.LookAsync(_issuer.Token("ann@example.org"), default)).Refusal);
        var old = _issuer.Key;
        _time.Advance(OpenIdKeys.Pause);
        _issuer.Add(IssuerKey.Rsa("rsa-2"));
        Assert.Null((await verifier.LookAsync(_issuer.Token("ann@example.org"), default)).Refusal);
        Assert.Equal(2, _issuer.Fetches);

        await Task.WhenAll(Enumerable.Range(0, 100).Select(async i =>
            Assert.True((await verifier.LookAsync(_issuer.Token("ann@example.org", header: head => head["kid"] = $"{i}"), default)).IsForged)));
        Assert.Equal(2, _issuer.Fetches);
        _time.Advance(OpenIdKeys.Pause);
        await Task.WhenAll(Enumerable.Range(0, 100).Select(async i =>
            Assert.True((await verifier.LookAsync(_issuer.Token("ann@example.org", header: head => head["kid"] = $"{i}"), default)).IsForged)));
        Assert.Equal(3, _issuer.Fetches);

        // What the issuer has withdrawn is taken until the keys are looked at again, and then no more.
        _issuer.Withdraw(old);
        Assert.Null((await verifier.LookAsync(_issuer.Token("ann@example.org", key: old), default)).Refusal);
        _time.Advance(TimeSpan.FromHours(1));
        await verifier.LookAsync(_issuer.Token("ann@example.org", key: old), default);
        await Eventually.TrueAsync(async () => (await verifier.LookAsync(_issuer.Token("ann@example.org", key: old), default)).IsForged, TimeSpan.FromSeconds(20));
        Assert.Null((await verifier.LookAsync(_issuer.Token("ann@example.org"), default)).Refusal);
    }

    [Fact]
    public async Task While_the_issuer_is_away_nobody_can_say_and_when_it_comes_it_is_asked()
    {
        _issuer.Add(IssuerKey.Rsa("rsa-1"));
        var verifier = Verifier();
        Assert.True((await verifier.LookAsync(_issuer.Token("ann@example.org"), default)).IsUnknown);
        await _issuer.StartAsync();
        // Not at once: nobody who tries again and again makes it worse.
        Assert.True((await verifier.LookAsync(_issuer.Token("ann@example.org"), default)).IsUnknown);
        Assert.Equal(0, _issuer.Fetches);
        _time.Advance(OpenIdKeys.Pause);
        Assert.Null((await verifier.LookAsync(_issuer.Token("ann@example.org"), default)).Refusal);

        // Keys that are there serve on, for a day; only what they do not decide waits.
        await _issuer.StopAsync();
        _time.Advance(OpenIdKeys.LongestTrust - TimeSpan.FromMinutes(1));
        Assert.Null((await verifier.LookAsync(_issuer.Token("ann@example.org"), default)).Refusal);
        Assert.True((await verifier.LookAsync(_issuer.Token("ann@example.org", header: head => head["kid"] = "rsa-2"), default)).IsUnknown);
        _time.Advance(TimeSpan.FromMinutes(1));
        Assert.True((await verifier.LookAsync(_issuer.Token("ann@example.org"), default)).IsUnknown);
    }

    [Fact]
    public async Task An_issuer_that_does_not_answer_is_waited_for_once_by_all()
    {
        var verifier = await StartAsync();
        _issuer.FallSilent();
        var looks = Enumerable.Range(0, 50).Select(_ => verifier.LookAsync(_issuer.Token("ann@example.org"), default).AsTask()).ToArray();
        using var left = new CancellationTokenSource();
        var leaver = verifier.LookAsync(_issuer.Token("ann@example.org"), left.Token).AsTask();
        await Eventually.TrueAsync(() => _issuer.Fetches == 1, TimeSpan.FromSeconds(20));
        await left.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => leaver);
        Assert.DoesNotContain(looks, look => look.IsCompleted);
        _time.Advance(TimeSpan.FromSeconds(5));
        Assert.All(await Task.WhenAll(looks), look => Assert.True(look.IsUnknown));
        Assert.Equal(1, _issuer.Fetches);
    }

    [Theory]
    [InlineData("huge keys")]
    [InlineData("huge metadata")]
    [InlineData("metadata of another")]
    [InlineData("keys elsewhere by http")]
    [InlineData("keys in a file")]
    [InlineData("redirect")]
    [InlineData("no JSON")]
    [InlineData("no keys")]
    [InlineData("deep JSON")]
    public async Task What_an_issuer_sends_is_bounded_and_nonsense_is_as_if_it_were_away(string what)
    {
        var padding = new string(' ', OpenIdKeys.MaxDocumentBytes);
        switch (what)
        {
            case "huge keys":
                _issuer.KeySet = "{\"keys\":[]" + padding + "}";
                break;
            case "huge metadata":
                _issuer.Metadata = "{" + padding + "}";
                break;
            case "metadata of another":
                _issuer.Metadata = new JsonObject { ["issuer"] = "https://login.example.net", ["jwks_uri"] = $"{_issuer.Address}/keys" }.ToJsonString();
                break;
            case "keys elsewhere by http":
                _issuer.Metadata = new JsonObject { ["issuer"] = _issuer.Address, ["jwks_uri"] = "http://login.example.net/keys" }.ToJsonString();
                break;
            case "keys in a file":
                _issuer.Metadata = new JsonObject { ["issuer"] = _issuer.Address, ["jwks_uri"] = "file:///etc/passwd" }.ToJsonString();
                break;
            case "redirect":
                _issuer.Redirect = "/realms/mail/keys";
                break;
            case "no JSON":
                _issuer.Metadata = "<html>";
                break;
            case "no keys":
                _issuer.KeySet = "[1, {\"keys\": 7}]";
                break;
            default:
                _issuer.KeySet = new string('[', 100_000);
                break;
        }

        var verifier = await StartAsync();
        Assert.True((await verifier.LookAsync(_issuer.Token("ann@example.org"), default)).IsUnknown);
    }

    [Theory]
    [InlineData("https://login.example.org/keys", true)]
    [InlineData("HTTPS://login.example.org:8443/keys", true)]
    [InlineData("http://127.0.0.1:8080/keys", true)]
    [InlineData("http://[::1]:8080/keys", true)]
    [InlineData("http://localhost/keys", true)]
    [InlineData("http://login.example.org/keys", false)]
    [InlineData("http://localhost.example.org/keys", false)]
    [InlineData("http://127.0.0.1@login.example.org/keys", false)]
    [InlineData("https://user:secret@login.example.org/keys", false)]
    [InlineData("file:///etc/passwd", false)]
    [InlineData("ftp://login.example.org/keys", false)]
    [InlineData("/keys", false)]
    [InlineData("", false)]
    public void Keys_come_by_https_or_from_this_machine(string address, bool isAllowed)
    {
        Assert.Equal(isAllowed, new OpenIdOptions { AllowLoopbackHttp = true }.MayFetch(address));
        Assert.Equal(isAllowed && address.StartsWith("https", StringComparison.OrdinalIgnoreCase), new OpenIdOptions().MayFetch(address));
    }

    [Fact]
    public async Task Octets_that_are_changed_anywhere_make_no_other_token_and_no_fault()
    {
        var verifier = await StartAsync();
        var token = _issuer.Token("ann@example.org");
        await verifier.LookAsync(token, default);
        Gen.Select(Gen.Int[0, token.Length - 1], Gen.Char.AlphaNumeric, Gen.Int[0, 3]).Sample(
            (at, letter, way) =>
            {
                var changed = way switch
                {
                    0 => token[..at],
                    1 => token.Remove(at, 1),
                    2 => token.Insert(at, $"{letter}"),
                    _ => token[..at] + letter + token[(at + 1)..],
                };
                var look = verifier.LookAsync(changed, default).AsTask().GetAwaiter().GetResult();
                // The last letter of a signature has bits that mean nothing.
                Assert.True(look.IsForged || look.IsUnknown || changed.Length >= token.Length - 1, changed);
                Assert.True(look.UserName is "" or "ann@example.org");
                Assert.NotNull(verifier.NameIn(changed));
            },
            iter: 3000);
    }
}
