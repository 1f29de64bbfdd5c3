using MailPipeline.Authentication.Arc;
using MailPipeline.Authentication.Dkim;
using MailPipeline.Authentication.Dmarc;
using MailPipeline.Authentication.Spf;

namespace MailPipeline.Authentication.Tests.Dmarc;

/// <summary>All that was found of a message, in one field.</summary>
public sealed class MessageResultsTests
{
    private static readonly SpfResult s_mailFrom = new(AuthenticationStatus.Pass, SpfIdentity.MailFrom, "example.org");
    private static readonly SpfResult s_helo = new(AuthenticationStatus.None, SpfIdentity.Helo, "mx.example.net");
    private static readonly DkimResult s_good = new(AuthenticationStatus.Pass, "example.org", "s1", "@example.org", "rsa-sha256", "abcd/+12", "");
    private static readonly DkimResult s_bad = new(AuthenticationStatus.PermanentError, "", "", "", "", "", "the field cannot be read");
    private static readonly DmarcRecord s_reject = DmarcRecord.Parse("v=DMARC1; p=reject")!;

    [Fact]
    public void All_methods_have_their_properties() => Assert.Equal(
        [
            "mx.example.com", "spf=pass smtp.mailfrom=ann@example.org", "spf=none smtp.helo=mx.example.net",
            "dkim=pass header.d=example.org header.i=@example.org header.s=s1 header.a=rsa-sha256 header.b=\"abcd/+12\"", "dkim=permerror",
            "arc=pass (i=2 sealed by list.example)", "dmarc=pass (p=reject) header.from=example.org policy.dmarc=none",
        ],
        Lines(new MessageResults("ann@example.org", s_mailFrom, s_helo, [s_good, s_bad], new ArcResult(AuthenticationStatus.Pass, "list.example", 2, ""), Dmarc(AuthenticationStatus.Pass))));

    [Fact]
    public void Without_a_sender_only_the_greeting_is_named_and_without_a_signature_that_there_is_none() => Assert.Equal(
        ["mx.example.com", "spf=none smtp.helo=mx.example.net", "dkim=none", "dmarc=fail (p=reject) header.from=example.org policy.dmarc=reject"],
        Lines(new MessageResults("", s_helo, s_helo, [], ArcResult.None, Dmarc(AuthenticationStatus.Fail))));

    [Fact]
    public void A_signature_that_does_not_count_says_why() => Assert.StartsWith(
        "dkim=pass (l= leaves 9 octets of the body uncovered, not counted for DMARC) header.d=example.org",
        Lines(new MessageResults("", null, null, [s_good with { Reason = "l= leaves 9 octets of the body uncovered", LeavesBodyUncovered = true }], null, null))[1],
        StringComparison.Ordinal);

    [Fact]
    public void A_hundred_signatures_have_room_for_those_that_pass_and_are_told_in_the_order_of_the_message()
    {
        var words = new string('x', 300);
        var signatures = Enumerable.Repeat(new DkimResult(AuthenticationStatus.Fail, words, words, words, words, "abcdefgh", ""), 100).ToArray();
        signatures[99] = s_good;
        signatures[40] = s_good with { Domain = "list.example" };
        var field = new MessageResults("ann@example.org", s_mailFrom, s_helo, signatures, null, Dmarc(AuthenticationStatus.Pass)).ToField("mx.example.com");
        var written = field.ToString();
        Assert.InRange(written.Length, MessageResults.MaxFieldBytes / 2, MessageResults.MaxFieldBytes);
        var kept = field.Results.Where(result => result.Method == "dkim").ToList();
        Assert.Equal(["list.example", "example.org"], kept.Where(result => result.Result == "pass").Select(result => result.Properties[0].Value));
        Assert.Equal(("fail", "pass", $"{100 - kept.Count} more signatures are left out"), (kept[0].Result, kept[^1].Result, kept[^1].Comment));
        Assert.Equal(kept.Count + 3, AuthenticationResults.Parse(written[(AuthenticationResults.FieldName.Length + 1)..].TrimEnd())!.Results.Count);
    }

    [Fact]
    public void As_many_signatures_as_have_room_are_all_told() => Assert.Equal(
        20, new MessageResults("", null, null, [.. Enumerable.Repeat(s_good, 20)], null, null).ToField("mx.example.com").Results.Count(result => result.Comment.Length == 0));

    [Fact]
    public void A_local_part_beyond_ASCII_is_left_out() => Assert.Equal(
        ["mx.example.com", "spf=pass smtp.mailfrom=example.org"], Lines(new MessageResults("\u00FC@example.org", s_mailFrom, null, null, null, null)));

    [Fact]
    public void What_is_not_done_says_why() => Assert.Equal(
        ["mx.example.com", "dmarc=fail (p=reject override=network) header.from=example.org policy.dmarc=none"],
        Lines(new MessageResults("", null, null, null, null, Dmarc(AuthenticationStatus.Fail)) { Override = "network" }));

    [Theory]
    [InlineData("fail pass permerror", "pass")]
    [InlineData("fail temperror", "temperror")]
    [InlineData("permerror fail policy", "policy")]
    [InlineData("neutral permerror", "neutral")]
    [InlineData("permerror", "permerror")]
    [InlineData("", "none")]
    public void Of_several_signatures_the_best_one_counts(string signatures, string best)
    {
        var results = new MessageResults("", null, null,
            [.. signatures.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(word => s_good with { Status = Enum.GetValues<AuthenticationStatus>().Single(one => AuthenticationWords.Of(one) == word) })],
            null, null);
        Assert.Equal(best, AuthenticationWords.Of(Assert.Single(results.ByMethod).Status));
    }

    private static string[] Lines(MessageResults results) =>
        [.. results.ToField("mx.example.com").ToValue().Replace("\r\n\t", " ", StringComparison.Ordinal).Split(';').Select(part => part.Trim())];

    private static DmarcResult Dmarc(AuthenticationStatus status) => new(status, "example.org")
    {
        Record = s_reject, Published = DmarcPolicy.Reject, Disposition = status == AuthenticationStatus.Pass ? DmarcPolicy.None : DmarcPolicy.Reject,
    };
}
