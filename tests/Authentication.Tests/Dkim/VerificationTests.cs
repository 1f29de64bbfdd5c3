using System.Formats.Asn1;
using System.Security.Cryptography;
using System.Text;
using CsCheck;

namespace MailPipeline.Authentication.Tests.Dkim;

public sealed class VerificationTests : IDisposable
{
    private const string Message = "From: ann@example.org\r\nTo: bob@example.net\r\nSubject: one\r\nSubject: two\r\n\r\nFirst line \r\n\r\nsecond  line\r\n";
    private const string Tags = "v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org; s=sel; h=from:to:subject";
    private const string Name = "sel._domainkey.example.org";

    private readonly TestSigner _signer = new();

    private FakeKeys Keys => new FakeKeys().With(Name, _signer.Record);

    public void Dispose() => _signer.Dispose();

    [Theory]
    [InlineData("relaxed/relaxed")]
    [InlineData("relaxed/simple")]
    [InlineData("simple/relaxed")]
    [InlineData("simple/simple")]
    [InlineData("simple")]
    [InlineData("relaxed")]
    public async Task A_signature_passes_in_every_form(string form)
    {
        var signed = _signer.Sign(Message, Tags.Replace("relaxed/relaxed", form, StringComparison.Ordinal));
        var result = await Verifying.OneAsync(signed, Keys);
        Assert.Equal((AuthenticationStatus.Pass, "example.org", "sel", "@example.org", ""), (result.Status, result.Domain, result.Selector, result.Identity, result.Reason));
    }

    /// <summary>What a header of many signatures names many times costs no more than its length.</summary>
    [Fact]
    public async Task A_name_that_h_repeats_costs_no_more_for_each_field_of_that_name()
    {
        var others = string.Concat(Enumerable.Repeat("DKIM-Signature: x\r\n", 1900));
        var signed = _signer.Sign(others + Message, $"{Tags}{string.Concat(Enumerable.Repeat(":dkim-signature", 990))}");
        using var content = Verifying.Read(signed);
        var keys = Keys;
        await content.VerifyAsync(keys, Verifying.Now, default);
        var before = GC.GetAllocatedBytesForCurrentThread();
        var result = (await content.VerifyAsync(keys, Verifying.Now, default))[0];
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 2_000_000);
        Assert.Equal((AuthenticationStatus.Pass, ""), (result.Status, result.Reason));
    }

    [Fact]
    public async Task A_signature_that_names_more_fields_than_any_message_has_is_none()
    {
        var result = await Verifying.OneAsync(_signer.Sign(Message, $"{Tags}{string.Concat(Enumerable.Repeat(":x", 1000))}"), Keys);
        Assert.Equal((AuthenticationStatus.PermanentError, "h= names more than 1000 fields"), (result.Status, result.Reason));
    }

    /// <summary>Whatever visible octet of what is signed becomes another, no signature passes.</summary>
    [Fact]
    public void A_message_with_one_octet_changed_fails()
    {
        var signed = Encoding.Latin1.GetBytes(_signer.Sign(Message, $"{Tags}:subject:from; t=1699999999"));
        // The last octets of base64 may stand for nothing: the value of b= is left alone.
        var text = Encoding.Latin1.GetString(signed);
        var (from, to) = (text.IndexOf("; b=", StringComparison.Ordinal) + 4, text.IndexOf("\r\n", StringComparison.Ordinal));
        Gen.Select(Gen.Int[0, signed.Length - 1], Gen.Int[(int)'!', (int)'~']).Where((at, octet) =>
            (at < from || at >= to) && signed[at] is > (byte)' ' and < 127 && (signed[at] | 0x20) != (octet | 0x20))
            .Sample((at, octet) =>
            {
                var changed = signed.ToArray();
                changed[at] = (byte)octet;
                using var content = Verifying.Read(Encoding.Latin1.GetString(changed));
                var results = content.VerifyAsync(Keys, Verifying.Now, default).GetAwaiter().GetResult();
                return results.All(result => result.Status != AuthenticationStatus.Pass);
            }, iter: 2000);
    }

    [Theory]
    [InlineData("v=2", "v=1", AuthenticationStatus.PermanentError, "version")]
    [InlineData("a=rsa-sha1", "a=rsa-sha256", AuthenticationStatus.Policy, "rsa-sha1")]
    [InlineData("a=rsa-sha512", "a=rsa-sha256", AuthenticationStatus.PermanentError, "algorithm")]
    [InlineData("c=relaxed/nice", "c=relaxed/relaxed", AuthenticationStatus.PermanentError, "canonicalization")]
    [InlineData("d=", "d=example.org", AuthenticationStatus.PermanentError, "d=")]
    [InlineData("d=exa mple.org", "d=example.org", AuthenticationStatus.PermanentError, "d=")]
    [InlineData("s=a..b", "s=sel", AuthenticationStatus.PermanentError, "s=")]
    [InlineData("h=to:subject", "h=from:to:subject", AuthenticationStatus.PermanentError, "From")]
    [InlineData("h=from; h=from", "h=from:to:subject", AuthenticationStatus.PermanentError, "list of tags")]
    [InlineData("h=from; q=http", "h=from:to:subject", AuthenticationStatus.PermanentError, "DNS")]
    [InlineData("h=from; t=now", "h=from:to:subject", AuthenticationStatus.PermanentError, "time")]
    [InlineData("h=from; t=5; x=5", "h=from:to:subject", AuthenticationStatus.PermanentError, "expires")]
    [InlineData("h=from; x=1699999999", "h=from:to:subject", AuthenticationStatus.Fail, "expired")]
    [InlineData("h=from; t=1700000301", "h=from:to:subject", AuthenticationStatus.Policy, "time to come")]
    [InlineData("h=from; t=1700000300", "h=from:to:subject", AuthenticationStatus.Pass, "")]
    [InlineData("h=from; x=1700000000", "h=from:to:subject", AuthenticationStatus.Pass, "")]
    [InlineData("h=from; i=ann@other.example", "h=from:to:subject", AuthenticationStatus.PermanentError, "i=")]
    [InlineData("h=from; i=ann@notexample.org", "h=from:to:subject", AuthenticationStatus.PermanentError, "i=")]
    [InlineData("h=from; i=a=40n@Deep.example.org", "h=from:to:subject", AuthenticationStatus.Pass, "")]
    [InlineData("h=from; l=x", "h=from:to:subject", AuthenticationStatus.PermanentError, "l=")]
    [InlineData("h=from; l=1000", "h=from:to:subject", AuthenticationStatus.PermanentError, "l= is more")]
    [InlineData("h=from; z=what; unknown_1=x", "h=from:to:subject", AuthenticationStatus.Pass, "")]
    [InlineData("h=From : TO :\r\n\tsubject: nothing : subject:subject", "h=from:to:subject", AuthenticationStatus.Pass, "")]
    public async Task What_a_signature_says_of_itself_decides(string tag, string instead, AuthenticationStatus status, string reason)
    {
        var signed = _signer.Sign(Message, Tags.Replace(instead, tag, StringComparison.Ordinal));
        var result = await Verifying.OneAsync(signed, Keys);
        Assert.Equal(status, result.Status);
        Assert.Contains(reason, result.Reason, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("", AuthenticationStatus.PermanentError, "no key")]
    [InlineData("p=KEY", AuthenticationStatus.Pass, "")]
    [InlineData("v=DKIM1; p=KEY;", AuthenticationStatus.Pass, "")]
    [InlineData("v=DKIM1; h=sha1:sha256; s=email; t=s; n=notes; p=KEY", AuthenticationStatus.Pass, "")]
    [InlineData("v=DKIM1; t=y; p=KEY", AuthenticationStatus.Pass, "testing")]
    [InlineData("p=KEY; v=DKIM1", AuthenticationStatus.PermanentError, "version")]
    [InlineData("v=DKIM2; p=KEY", AuthenticationStatus.PermanentError, "version")]
    [InlineData("v=DKIM1; p=", AuthenticationStatus.PermanentError, "revoked")]
    [InlineData("v=DKIM1; p=!", AuthenticationStatus.PermanentError, "base64")]
    [InlineData("v=DKIM1; p=AAAA", AuthenticationStatus.PermanentError, "RSA")]
    [InlineData("v=DKIM1; k=ed25519; p=KEY", AuthenticationStatus.PermanentError, "another type")]
    [InlineData("v=DKIM1; h=sha1; p=KEY", AuthenticationStatus.PermanentError, "sha256")]
    [InlineData("v=DKIM1; s=other; p=KEY", AuthenticationStatus.PermanentError, "mail")]
    [InlineData("v=spf1 -all", AuthenticationStatus.PermanentError, "version")]
    [InlineData("any text", AuthenticationStatus.PermanentError, "list of tags")]
    public async Task What_the_key_says_decides(string record, AuthenticationStatus status, string reason)
    {
        var keys = new FakeKeys().With(Name, record.Replace("KEY", _signer.PublicKey, StringComparison.Ordinal));
        var result = await Verifying.OneAsync(_signer.Sign(Message, Tags), keys);
        Assert.Equal(status, result.Status);
        Assert.Contains(reason, result.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_key_that_is_strict_takes_no_identity_below_its_domain()
    {
        var signed = _signer.Sign(Message, $"{Tags}; i=@deep.example.org");
        Assert.Equal(AuthenticationStatus.Pass, (await Verifying.OneAsync(signed, Keys)).Status);
        var strict = new FakeKeys().With(Name, $"v=DKIM1; t=s; p={_signer.PublicKey}");
        Assert.Equal(AuthenticationStatus.PermanentError, (await Verifying.OneAsync(signed, strict)).Status);
    }

    [Fact]
    public async Task Of_several_records_one_may_be_the_key()
    {
        using var other = new TestSigner();
        var signed = _signer.Sign(Message, Tags);
        Assert.Equal(AuthenticationStatus.Pass, (await Verifying.OneAsync(signed, new FakeKeys().With(Name, "v=spf1 -all", other.Record, _signer.Record))).Status);
        Assert.Equal(AuthenticationStatus.Fail, (await Verifying.OneAsync(signed, new FakeKeys().With(Name, other.Record, "v=spf1 -all"))).Status);
        // No more than three are tried.
        Assert.NotEqual(
            AuthenticationStatus.Pass, (await Verifying.OneAsync(signed, new FakeKeys().With(Name, "a=b", "b=c", "c=d", _signer.Record))).Status);
    }

    [Theory]
    [InlineData(512)]
    [InlineData(1000)]
    [InlineData(16_384)]
    public async Task A_key_that_is_too_short_or_absurdly_long_is_refused(int bits)
    {
        // The 16,384 bits are no key: nobody computes with them before they are refused.
        var key = bits == 16_384 ? Absurd(bits) : RSA.Create(bits).ExportSubjectPublicKeyInfo();
        var result = await Verifying.OneAsync(_signer.Sign(Message, Tags), new FakeKeys().With(Name, $"p={Convert.ToBase64String(key)}"));
        Assert.Equal(AuthenticationStatus.Policy, result.Status);
        Assert.Contains("bits", result.Reason, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(1, false)]
    [InlineData(2, false)]
    [InlineData(3, true)]
    public async Task An_RSA_key_that_is_none_is_no_key_and_breaks_nothing(int exponent, bool isEven)
    {
        var modulus = new byte[257];
        modulus.AsSpan(1).Fill(0xC5);
        modulus[^1] = (byte)(isEven ? 0xC4 : 0xC5);
        var writer = new AsnWriter(AsnEncodingRules.DER);
        using (writer.PushSequence())
        {
            writer.WriteInteger(modulus);
            writer.WriteInteger(exponent);
        }

        var result = await Verifying.OneAsync(_signer.Sign(Message, Tags), new FakeKeys().With(Name, $"p={Convert.ToBase64String(writer.Encode())}"));
        Assert.Equal((AuthenticationStatus.PermanentError, "the key is no RSA key"), (result.Status, result.Reason));
    }

    [Fact]
    public async Task A_key_of_4096_bits_and_a_bare_RSAPublicKey_are_taken()
    {
        using var signer = new TestSigner(4096);
        Assert.Equal(AuthenticationStatus.Pass, (await Verifying.OneAsync(signer.Sign(Message, Tags), new FakeKeys().With(Name, signer.Record))).Status);
        using var rsa = RSA.Create();
        rsa.ImportSubjectPublicKeyInfo(Convert.FromBase64String(_signer.PublicKey), out _);
        var bare = Convert.ToBase64String(rsa.ExportRSAPublicKey());
        Assert.Equal(AuthenticationStatus.Pass, (await Verifying.OneAsync(_signer.Sign(Message, Tags), new FakeKeys().With(Name, $"p={bare}"))).Status);
    }

    [Fact]
    public async Task Fields_are_signed_from_the_bottom_up_and_one_that_is_signed_once_too_often_may_not_be_added()
    {
        // The lower of two is signed: another may be put on top, and not below.
        var once = _signer.Sign(Message, Tags);
        Assert.Equal(AuthenticationStatus.Pass, (await Verifying.OneAsync($"Subject: zero\r\n{once}", Keys)).Status);
        var below = once.Replace("Subject: two\r\n", "Subject: two\r\nSubject: three\r\n", StringComparison.Ordinal);
        Assert.Equal(AuthenticationStatus.Fail, (await Verifying.OneAsync(below, Keys)).Status);
        var often = _signer.Sign(Message, Tags.Replace("h=from", "h=from:from", StringComparison.Ordinal));
        Assert.Equal(AuthenticationStatus.Pass, (await Verifying.OneAsync(often, Keys)).Status);
        Assert.Equal(AuthenticationStatus.Fail, (await Verifying.OneAsync($"From: eve@example.org\r\n{often}", Keys)).Status);
    }

    [Fact]
    public async Task What_l_leaves_uncovered_is_said()
    {
        var signed = _signer.Sign(Message, $"{Tags}; l=12");
        Assert.Equal("l= leaves 15 octets of the body uncovered", (await Verifying.OneAsync(signed, Keys)).Reason);
        var longer = await Verifying.OneAsync(signed + "buy now\r\n", Keys);
        Assert.Equal((AuthenticationStatus.Pass, "l= leaves 24 octets of the body uncovered", true), (longer.Status, longer.Reason, longer.LeavesBodyUncovered));
        var all = _signer.Sign(Message, $"{Tags}; l=27");
        var covered = await Verifying.OneAsync(all, Keys);
        Assert.Equal(("", false), (covered.Reason, covered.LeavesBodyUncovered));
    }

    [Fact]
    public async Task White_space_and_the_case_of_names_may_change_where_that_is_agreed()
    {
        var signed = _signer.Sign(Message, Tags);
        var relaxed = signed.Replace("To: bob", "TO :\r\n\t bob", StringComparison.Ordinal).Replace("second  line", "second \t line  ", StringComparison.Ordinal);
        Assert.Equal(AuthenticationStatus.Pass, (await Verifying.OneAsync($"{relaxed}\r\n\r\n", Keys)).Status);
    }

    [Fact]
    public async Task DNS_that_does_not_answer_is_temporary_and_bounded()
    {
        var signed = _signer.Sign(Message, Tags);
        var keys = Keys;
        keys.Failing.Add(Name);
        Assert.Equal(AuthenticationStatus.TemporaryError, (await Verifying.OneAsync(signed, keys)).Status);

        keys = Keys;
        keys.Silent.Add(Name);
        using var content = Verifying.Read(_signer.Sign(signed, Tags.Replace("s=sel", "s=other", StringComparison.Ordinal)));
        using var bound = new CancellationTokenSource(TimeSpan.FromMilliseconds(50));
        keys.With("other._domainkey.example.org", _signer.Record);
        var results = await content.VerifyAsync(keys, Verifying.Now, bound.Token);
        // What was answered in time counts.
        Assert.Equal([AuthenticationStatus.Pass, AuthenticationStatus.TemporaryError], results.Select(result => result.Status));
    }

    [Fact]
    public void Keys_are_asked_for_once_and_before_the_body_has_come()
    {
        var signed = _signer.Sign(_signer.Sign(Message, Tags), Tags);
        var keys = Keys;
        using var content = new SignedContent(new VerificationLimits());
        var header = Encoding.Latin1.GetBytes(signed[..(signed.IndexOf("\r\n\r\n", StringComparison.Ordinal) + 4)]);
        content.Take(header.AsSpan(0, header.Length - 1));
        Assert.False(content.IsHeaderOver);
        content.Take(header.AsSpan(header.Length - 1));
        Assert.True(content.IsHeaderOver);
        content.AskForKeys(keys, TestContext.Current.CancellationToken);
        Assert.Equal([Name], keys.Asked);
    }

    [Fact]
    public async Task A_thousand_signatures_cost_no_more_than_eight()
    {
        var one = _signer.Sign(Message, Tags);
        var signature = one[..(one.IndexOf("\r\n", StringComparison.Ordinal) + 2)];
        var message = string.Concat(Enumerable.Range(0, 999).Select(i => signature.Replace("s=sel", $"s=s{i}", StringComparison.Ordinal))) + one;
        var keys = Keys;
        using var content = Verifying.Read(message, limits: new VerificationLimits { MaxHeaderBytes = 1 << 20 });
        var results = await content.VerifyAsync(keys, Verifying.Now, TestContext.Current.CancellationToken);
        Assert.Equal((8, 992, 8), (results.Count, content.UnjudgedSignatures, keys.Asked.Count));
    }

    [Fact]
    public async Task A_header_that_is_too_long_is_not_held()
    {
        var started = GC.GetAllocatedBytesForCurrentThread();
        using var content = new SignedContent(new VerificationLimits { MaxHeaderBytes = 10_000 });
        var line = Encoding.Latin1.GetBytes($"X-Padding: {new string('x', 980)}\r\n");
        for (var i = 0; i < 50_000; i++)
            content.Take(line);
        content.End();
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - started, 0, 200_000);
        var result = Assert.Single(await content.VerifyAsync(Keys, Verifying.Now, TestContext.Current.CancellationToken));
        Assert.Equal(AuthenticationStatus.Policy, result.Status);
    }

    [Fact]
    public async Task A_header_of_very_many_fields_is_not_judged()
    {
        var signed = _signer.Sign(Message, Tags);
        Assert.Equal(AuthenticationStatus.Pass, (await Verifying.OneAsync(Fields(1900) + signed, Keys)).Status);
        Assert.Equal(AuthenticationStatus.Policy, (await Verifying.OneAsync(Fields(2000) + signed, Keys)).Status);

        static string Fields(int count) => string.Concat(Enumerable.Range(0, count).Select(i => $"x{i}:\r\n"));
    }

    [Fact]
    public async Task A_signature_that_signs_those_before_it_does_not_sign_itself()
    {
        var both = _signer.Sign(_signer.Sign(Message, Tags), Tags.Replace("h=from", "h=dkim-signature:dkim-signature:from", StringComparison.Ordinal));
        Assert.Equal([AuthenticationStatus.Pass, AuthenticationStatus.Pass], (await Verifying.AllAsync(both, Keys)).Select(result => result.Status));
    }

    [Theory]
    [InlineData("")]
    [InlineData("\r\n")]
    [InlineData("From: ann@example.org")]
    [InlineData("no header at all\r\n")]
    public async Task A_message_without_signature_has_none(string message) =>
        Assert.Empty(await Verifying.AllAsync(message, Keys));

    [Fact]
    public async Task A_message_of_a_header_alone_and_a_domain_in_U_labels_pass()
    {
        using var content = Verifying.Read(
            _signer.Sign("From: x\r\n\r\n", Tags.Replace("example.org", "b\u00fccher.example", StringComparison.Ordinal).Replace(
                "\u00fc", Encoding.Latin1.GetString(Encoding.UTF8.GetBytes("\u00fc")), StringComparison.Ordinal)));
        var results = await content.VerifyAsync(
            new FakeKeys().With("sel._domainkey.xn--bcher-kva.example", _signer.Record), Verifying.Now, TestContext.Current.CancellationToken);
        Assert.Equal((AuthenticationStatus.Pass, "xn--bcher-kva.example"), (results[0].Status, results[0].Domain));
    }

    /// <summary>A large body is hashed as it comes, in memory that does not grow with it.</summary>
    [Fact]
    public async Task Fifty_megabytes_take_no_memory()
    {
        var line = string.Concat(Enumerable.Repeat("word and  word\t", 5)) + "\r\n";
        var body = Encoding.Latin1.GetBytes(string.Concat(Enumerable.Repeat(line, 840)));
        using var content = new SignedContent(new VerificationLimits());
        var header = _signer.Sign(Message, Tags);
        content.Take(Encoding.Latin1.GetBytes(header));
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 800; i++)
            content.Take(body);
        content.End();
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 50_000);
        Assert.Equal(AuthenticationStatus.Fail, (await content.VerifyAsync(Keys, Verifying.Now, TestContext.Current.CancellationToken))[0].Status);
    }

    private static byte[] Absurd(int bits)
    {
        var modulus = new byte[bits / 8];
        modulus.AsSpan().Fill(0x7F);
        var writer = new System.Formats.Asn1.AsnWriter(System.Formats.Asn1.AsnEncodingRules.DER);
        using (writer.PushSequence())
        {
            writer.WriteIntegerUnsigned(modulus);
            writer.WriteInteger(65537);
        }

        return writer.Encode();
    }
}
