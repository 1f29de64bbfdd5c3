using System.Text;
using MailPipeline.Authentication.Arc;
using MailPipeline.Authentication.Dkim;

namespace MailPipeline.Authentication.Tests.Arc;

public sealed class ArcTests
{
    private const string Message = "From: ann@example.org\r\nTo: list@example.net\r\nSubject: hello\r\n\r\ntext\r\n";

    private static readonly DkimSigningKey s_key = DkimSigningKey.Read("example.net", "sel", DkimSigningKey.Create(DkimKeyKind.Rsa));
    private static readonly DkimSigningKey s_next = DkimSigningKey.Read("next.example", "sel", DkimSigningKey.Create(DkimKeyKind.Ed25519));

    private static FakeKeys Keys => new FakeKeys().With(s_key.RecordName, s_key.Record).With(s_next.RecordName, s_next.Record);

    [Fact]
    public async Task A_message_without_sets_has_no_chain() => Assert.Equal(ArcResult.None, await VerifyAsync(Message));

    [Fact]
    public async Task A_chain_that_we_sealed_passes_and_grows()
    {
        var once = await SealAsync(Message, s_key);
        Assert.Contains("ARC-Authentication-Results: i=1; mx.example.net;\r\n\tspf=pass", once, StringComparison.Ordinal);
        Assert.Contains("cv=none", once, StringComparison.Ordinal);
        Assert.Equivalent(new ArcResult(AuthenticationStatus.Pass, "example.net", 1, "") { Sealers = ["example.net"] }, await VerifyAsync(once));
        // A list changes the subject, and the next handler vouches for what it saw before.
        var twice = await SealAsync(once, s_next);
        Assert.Contains("cv=pass", twice, StringComparison.Ordinal);
        Assert.Equivalent(
            new ArcResult(AuthenticationStatus.Pass, "next.example", 2, "") { Sealers = ["next.example", "example.net"] }, await VerifyAsync(twice));
        var third = await VerifyAsync(await SealAsync(twice, s_key));
        Assert.Equal((AuthenticationStatus.Pass, 3), (third.Status, third.Sets));
    }

    [Theory]
    [InlineData("text", "test", "the newest ARC-Message-Signature: the body")]
    [InlineData("Subject: hello", "Subject: hullo", "the newest ARC-Message-Signature: the signature does not match")]
    [InlineData("spf=pass", "spf=fail", "seal 2: the signature does not match")]
    [InlineData("cv=none", "cv=pass", "seal 1 says cv=pass")]
    [InlineData("cv=pass", "cv=fail", "seal 2 says cv=fail")]
    [InlineData("ARC-Seal: i=1", "X-Seal: i=1", "no chain")]
    [InlineData("ARC-Seal: i=1", "ARC-Seal: i=3", "no chain")]
    [InlineData("ARC-Seal: i=1", "ARC-Seal: i=2", "no chain")]
    [InlineData("ARC-Seal: i=1", "ARC-Seal: i=0", "no chain")]
    [InlineData("ARC-Seal: i=1; a", "ARC-Seal: i=1; h=from; a", "a seal has no h=")]
    public async Task A_chain_that_is_changed_fails(string what, string instead, string reason)
    {
        var chain = await SealAsync(await SealAsync(Message, s_key), s_next);
        Assert.Contains(what, chain, StringComparison.Ordinal);
        var result = await VerifyAsync(chain.Replace(what, instead, StringComparison.Ordinal));
        Assert.Equal(AuthenticationStatus.Fail, result.Status);
        Assert.Contains(reason, result.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_chain_that_has_failed_is_sealed_once_more_to_say_so_and_then_never()
    {
        var broken = (await SealAsync(Message, s_key)).Replace("hello", "hullo", StringComparison.Ordinal);
        var said = await SealAsync(broken, s_next);
        Assert.Contains("ARC-Seal: i=2;", said, StringComparison.Ordinal);
        Assert.Contains("cv=fail", said, StringComparison.Ordinal);
        Assert.Equal(AuthenticationStatus.Fail, (await VerifyAsync(said)).Status);
        Assert.Equal(said, await SealAsync(said, s_key));
        // What is no chain cannot be counted on.
        var none = said.Replace("ARC-Seal: i=1", "ARC-Seal: i=7", StringComparison.Ordinal);
        Assert.Equal(none, await SealAsync(none, s_key));
    }

    [Fact]
    public async Task DNS_that_does_not_answer_is_temporary_and_nobody_seals_then()
    {
        var once = await SealAsync(Message, s_key);
        var keys = Keys;
        keys.Failing.Add(s_key.RecordName);
        Assert.Equal(AuthenticationStatus.TemporaryError, (await VerifyAsync(once, keys)).Status);
        Assert.Equal(once, await SealAsync(once, s_next, keys));
    }

    [Fact]
    public async Task A_hundred_sets_are_no_chain_and_cost_no_question()
    {
        var set = await SealAsync("\r\n", s_key);
        var many = string.Concat(Enumerable.Range(1, 100).Select(i => set.Replace("i=1;", $"i={i};", StringComparison.Ordinal)[..^2])) + Message;
        var keys = Keys;
        var result = await VerifyAsync(many, keys);
        Assert.Equal((AuthenticationStatus.Fail, 0), (result.Status, keys.Asked.Count));
    }

    internal static async Task<ArcResult> VerifyAsync(string message, FakeKeys? keys = null, DateTimeOffset? now = null)
    {
        using var content = Verifying.Read(message, limits: new VerificationLimits { MaxHeaderBytes = 1 << 20 });
        return await content.VerifyArcAsync(keys ?? Keys, now ?? Verifying.Now, TestContext.Current.CancellationToken);
    }

    internal static async Task<string> SealAsync(string message, DkimSigningKey key, FakeKeys? keys = null)
    {
        var chain = await VerifyAsync(message, keys);
        using var content = new SignableContent();
        content.Take(Encoding.Latin1.GetBytes(message));
        content.End();
        var set = content.Seal(content.HeaderBelow(default), chain, "mx.example.net; spf=pass smtp.mailfrom=example.org; dkim=none", key, Verifying.Now);
        return Encoding.Latin1.GetString(set) + message;
    }
}
