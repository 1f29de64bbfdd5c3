using System.Text;
using MailPipeline.Authentication.Dkim;
using MailPipeline.Authentication.Dmarc;
using MailPipeline.Authentication.Spf;

namespace MailPipeline.Authentication.Tests.Dmarc;

/// <summary>Whose a message is: alignment, policies and how they are found (RFC 7489 §3.1, §6.6; DMARCbis §4.10).</summary>
public sealed class DmarcCheckTests
{
    private const string Zone = """
        _dmarc.example.org TXT v=DMARC1; p=reject; sp=quarantine
        _dmarc.strict.example.net TXT v=DMARC1; p=reject; adkim=s; aspf=s
        _dmarc.aspf.example.net TXT v=DMARC1; p=reject; aspf=s
        _dmarc.adkim.example.net TXT v=DMARC1; p=reject; adkim=s
        _dmarc.example.co.uk TXT v=DMARC1; p=reject
        _dmarc.www.ck TXT v=DMARC1; p=reject
        _dmarc.b.example.ck TXT v=DMARC1; p=reject
        _dmarc.none.example.com TXT v=DMARC1; p=none
        _dmarc.quarantine.example.com TXT v=DMARC1; p=quarantine
        _dmarc.half.example.com TXT v=DMARC1; p=reject; pct=50
        _dmarc.nobody.example.com TXT v=DMARC1; p=reject; pct=0
        _dmarc.qnobody.example.com TXT v=DMARC1; p=quarantine; pct=0
        _dmarc.two.example.com TXT v=DMARC1; p=reject
        _dmarc.two.example.com TXT v=DMARC1; p=none
        _dmarc.beside.example.com TXT a text for something else
        _dmarc.beside.example.com TXT v=DMARC1; p=reject
        _dmarc.wrong.example.com TXT v=DMARC1; p=what
        _dmarc.silent.example.com TXT !
        _dmarc.never.example.com TXT ?
        _dmarc.xn--bcher-kva.example TXT v=DMARC1; p=reject
        """;

    public static TheoryData<string, string, string, string> Alignment => new()
    {
        // From, SPF, DKIM (status:domain, several), what is found.
        { "example.org", "pass:example.org", "", "pass spf" },
        { "example.org", "pass:mail.example.org", "", "pass spf" },
        { "mail.example.org", "pass:example.org", "", "pass spf" },
        { "a.example.org", "pass:b.example.org", "", "pass spf" },
        { "example.org", "pass:EXAMPLE.ORG", "", "pass spf" },
        { "example.org", "pass:example.net", "", "fail Reject" },
        { "example.org", "pass:badexample.org", "", "fail Reject" },
        { "example.org", "softfail:example.org", "", "fail Reject" },
        { "example.org", "neutral:example.org", "", "fail Reject" },
        { "example.org", "none:example.org", "", "fail Reject" },
        { "example.org", "permerror:example.org", "", "fail Reject" },
        { "example.org", "", "", "fail Reject" },
        { "example.org", "", "pass:example.org", "pass dkim" },
        { "example.org", "", "pass:news.example.org", "pass dkim" },
        { "example.org", "", "pass:example.net", "fail Reject" },
        { "example.org", "", "fail:example.org", "fail Reject" },
        { "example.org", "", "policy:example.org", "fail Reject" },
        { "example.org", "", "neutral:example.org", "fail Reject" },
        { "example.org", "", "permerror:example.org", "fail Reject" },
        { "example.org", "", "fail:example.org pass:example.net pass:example.org", "pass dkim" },
        { "example.org", "pass:example.org", "pass:example.org", "pass spf dkim" },
        // Anybody may have added to what it covers.
        { "example.org", "", "pass:example.org:l", "fail Reject" },
        { "example.org", "", "temperror:example.org:l", "fail Reject" },
        { "example.org", "", "pass:example.org:l pass:example.org", "pass dkim" },
        { "example.org", "pass:example.org", "pass:example.org:l", "pass spf" },
        { "example.org", "fail:example.org", "pass:example.org", "pass dkim" },
        { "example.org", "pass:list.example.net", "pass:list.example.net fail:example.org", "fail Reject" },
        // Names below have the policy of sp.
        { "mail.example.org", "fail:example.org", "", "fail Quarantine" },
        { "a.b.c.example.org", "", "", "fail Quarantine" },
        // Strict: the very name.
        { "strict.example.net", "pass:strict.example.net", "", "pass spf" },
        { "strict.example.net", "pass:mail.strict.example.net", "", "fail Reject" },
        { "strict.example.net", "pass:example.net", "", "fail Reject" },
        { "strict.example.net", "", "pass:strict.example.net", "pass dkim" },
        { "strict.example.net", "", "pass:mail.strict.example.net", "fail Reject" },
        { "aspf.example.net", "pass:example.net", "", "fail Reject" },
        { "aspf.example.net", "", "pass:example.net", "pass dkim" },
        { "adkim.example.net", "pass:example.net", "", "pass spf" },
        { "adkim.example.net", "", "pass:example.net", "fail Reject" },
        // Who has the same suffix is not of the same organisation; wildcards and their exceptions.
        { "example.co.uk", "pass:mail.example.co.uk", "", "pass spf" },
        { "mail.example.co.uk", "pass:example.co.uk", "", "pass spf" },
        { "example.co.uk", "pass:other.co.uk", "", "fail Reject" },
        { "example.co.uk", "pass:co.uk", "", "fail Reject" },
        { "www.ck", "pass:mail.www.ck", "", "pass spf" },
        { "mail.www.ck", "pass:www.ck", "", "pass spf" },
        { "b.example.ck", "pass:a.b.example.ck", "", "pass spf" },
        { "b.example.ck", "pass:c.example.ck", "", "fail Reject" },
        { "b.example.ck", "pass:example.ck", "", "fail Reject" },
        // Policies.
        { "none.example.com", "pass:example.net", "", "fail None" },
        { "none.example.com", "pass:none.example.com", "", "pass spf" },
        { "quarantine.example.com", "", "", "fail Quarantine" },
        { "nothing.example.com", "pass:nothing.example.com", "", "none" },
        { "example.com", "", "", "none" },
        { "two.example.com", "pass:two.example.com", "", "none" },
        { "beside.example.com", "", "", "fail Reject" },
        { "wrong.example.com", "", "", "none" },
        // Sampling: what is not in it has the next milder policy.
        { "nobody.example.com", "", "", "fail Quarantine" },
        { "qnobody.example.com", "", "", "fail None" },
        // What DNS does not say.
        { "silent.example.com", "pass:silent.example.com", "", "temperror None" },
        { "never.example.com", "", "", "temperror None" },
        { "example.org", "temperror:example.org", "", "temperror Reject" },
        { "example.org", "temperror:mail.example.org", "fail:example.org", "temperror Reject" },
        { "example.org", "temperror:example.net", "", "fail Reject" },
        { "example.org", "temperror:example.org", "pass:example.org", "pass dkim" },
        { "example.org", "", "temperror:example.org fail:example.org", "temperror Reject" },
        { "example.org", "", "temperror:example.net", "fail Reject" },
        { "none.example.com", "temperror:none.example.com", "", "temperror None" },
        // Beyond ASCII, and several authors: the one whose policy asks for most.
        { "b\u00FCcher.example", "pass:xn--bcher-kva.example", "", "pass spf" },
        { "none.example.com example.org", "pass:none.example.com", "", "fail Reject" },
        { "example.org none.example.com", "pass:example.org", "", "fail None" },
        { "nothing.example.com example.org", "pass:example.org", "", "none" },
        { "example.org mail.example.org", "pass:example.org", "", "pass spf" },
        { "quarantine.example.com example.org", "", "", "fail Reject" },
        { "", "pass:example.org", "", "permerror None" },
        { "a.example.com b.example.com c.example.com d.example.com e.example.com f.example.com", "", "", "permerror None" },
    };

    public static TheoryData<string, string, string> TreeWalks => new()
    {
        // A zone, From and what SPF passes for, what is found.
        { "_dmarc.example.org TXT v=DMARC1; p=reject", "a.b.example.org pass:c.example.org", "pass spf" },
        { "_dmarc.example.org TXT v=DMARC1; p=reject; sp=quarantine", "a.b.example.org", "fail Quarantine" },
        { "_dmarc.example.org TXT v=DMARC1; p=reject", "a.b.c.d.e.f.g.h.example.org pass:example.org", "pass spf" },
        { "_dmarc.example.org TXT v=DMARC1; p=reject", "example.org pass:example.net", "fail Reject" },
        // The record of the name itself, and one higher up that says whose it is.
        { "_dmarc.b.example.org TXT v=DMARC1; p=none\n_dmarc.example.org TXT v=DMARC1; p=reject", "b.example.org pass:c.example.org", "pass spf" },
        { "_dmarc.b.example.org TXT v=DMARC1; p=none\n_dmarc.example.org TXT v=DMARC1; p=reject", "b.example.org", "fail None" },
        { "_dmarc.b.example.org TXT v=DMARC1; p=none\n_dmarc.example.org TXT v=DMARC1; p=reject", "a.b.example.org", "fail Reject" },
        { "_dmarc.b.example.org TXT v=DMARC1; p=reject; psd=n\n_dmarc.example.org TXT v=DMARC1; p=none", "a.b.example.org pass:example.org", "fail Reject" },
        { "_dmarc.b.example.org TXT v=DMARC1; p=reject; psd=n\n_dmarc.example.org TXT v=DMARC1; p=none", "a.b.example.org pass:b.example.org", "pass spf" },
        // A registry's own record.
        { "_dmarc.bank TXT v=DMARC1; p=reject; psd=y", "mail.first.bank pass:first.bank", "pass spf" },
        { "_dmarc.bank TXT v=DMARC1; p=reject; psd=y", "mail.first.bank pass:second.bank", "fail Reject" },
        { "_dmarc.bank TXT v=DMARC1; p=reject; psd=y\n_dmarc.first.bank TXT v=DMARC1; p=none", "mail.first.bank pass:second.bank", "fail None" },
        { "_dmarc.bank TXT v=DMARC1; p=none; np=reject; psd=y", "typo.bank", "fail Reject" },
        { "_dmarc.bank TXT v=DMARC1; p=none; np=reject; psd=y\nthere.bank A 192.0.2.1", "there.bank", "fail None" },
        // t: one step milder. pct is not known there.
        { "_dmarc.example.org TXT v=DMARC1; p=reject; t=y", "example.org", "fail Quarantine" },
        { "_dmarc.example.org TXT v=DMARC1; p=reject; pct=0", "example.org", "fail Reject" },
        { "x.org A 192.0.2.1", "example.org pass:example.org", "none" },
        { "_dmarc.example.org TXT v=DMARC1; p=reject\n_dmarc.a.example.org TXT !", "a.example.org pass:b.example.org", "temperror None" },
        { "_dmarc.example.org TXT v=DMARC1; p=reject\n_dmarc.b.example.org TXT !", "example.org pass:b.example.org", "temperror Reject" },
        { "_dmarc.example.org TXT v=DMARC1; p=reject\n_dmarc.example.org TXT v=DMARC1; p=none", "example.org", "none" },
    };

    [Theory]
    [MemberData(nameof(Alignment))]
    public async Task A_message_is_whose_it_says(string from, string spf, string dkim, string found)
    {
        var (result, _) = await CheckAsync(Zone, DmarcDiscoveryMode.PublicSuffixList, from, spf, dkim);
        Assert.Equal(found, Words(result));
    }

    [Theory]
    [MemberData(nameof(TreeWalks))]
    public async Task Policies_are_found_up_the_tree(string zone, string asked, string found)
    {
        var words = asked.Split(' ');
        var (result, dns) = await CheckAsync(zone, DmarcDiscoveryMode.TreeWalk, words[0], words.Length > 1 ? words[1] : "", "");
        Assert.Equal(found, Words(result));
        // Eight names for each of the two.
        Assert.InRange(dns.Questions.Count, 1, 16);
    }

    [Fact]
    public async Task Half_the_messages_are_half_the_messages()
    {
        var check = new DmarcCheck(new ZoneDns(Zone), DmarcDiscoveryMode.PublicSuffixList, () => PublicSuffixList.BuiltIn, new Random(7));
        var rejected = 0;
        for (var i = 0; i < 1000; i++)
        {
            var result = await check.CheckAsync(Authors("half.example.com"), null, [], null, TestContext.Current.CancellationToken);
            Assert.NotEqual(DmarcPolicy.None, result.Disposition);
            rejected += result.Disposition == DmarcPolicy.Reject ? 1 : 0;
        }

        Assert.InRange(rejected, 400, 600);
    }

    [Fact]
    public async Task The_way_is_told_to_who_wants_to_see_it()
    {
        var steps = new List<string>();
        var check = new DmarcCheck(new ZoneDns(Zone), DmarcDiscoveryMode.PublicSuffixList, () => PublicSuffixList.BuiltIn, new Random(7));
        await check.CheckAsync(
            Authors("mail.example.org"), new SpfResult(AuthenticationStatus.Pass, SpfIdentity.MailFrom, "example.net"), [], steps, TestContext.Current.CancellationToken);
        Assert.Equal(
            [
                "_dmarc.mail.example.org: no DMARC record", "_dmarc.example.org: v=DMARC1; p=reject; sp=quarantine",
                "SPF of example.net: pass, not aligned with mail.example.org",
            ], steps);
    }

    private static async Task<(DmarcResult Result, ZoneDns Dns)> CheckAsync(string zone, DmarcDiscoveryMode mode, string from, string spf, string dkim)
    {
        var dns = new ZoneDns(zone);
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        // What is in memory answers at once; what does not never would.
        if (zone.Contains('?', StringComparison.Ordinal) && from.StartsWith("never", StringComparison.Ordinal))
            await deadline.CancelAsync();
        var check = new DmarcCheck(dns, mode, () => PublicSuffixList.BuiltIn, new Random(7));
        return (await check.CheckAsync(
            Authors(from), spf.Length == 0 ? null : new SpfResult(StatusOf(spf), SpfIdentity.MailFrom, spf.Split(':')[1]),
            [.. dkim.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(one => new DkimResult(StatusOf(one), one.Split(':')[1], "s", "", "rsa-sha256", "", "") { LeavesBodyUncovered = one.EndsWith(":l", StringComparison.Ordinal) })],
            null, deadline.Token), dns);
    }

    private static AuthorDomains Authors(string domains) => AuthorDomains.Of(MessageHeader.Parse(Encoding.UTF8.GetBytes(
        $"From: {string.Join(", ", domains.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(domain => $"ann@{domain}"))}\r\n")));

    private static AuthenticationStatus StatusOf(string text) =>
        Enum.GetValues<AuthenticationStatus>().Single(status => AuthenticationWords.Of(status) == text.Split(':')[0]);

    private static string Words(DmarcResult result) => AuthenticationWords.Of(result.Status) + (result.Status switch
    {
        AuthenticationStatus.Pass => (result.IsSpfAligned ? " spf" : "") + (result.IsDkimAligned ? " dkim" : ""),
        AuthenticationStatus.None => "",
        _ => $" {result.Disposition}",
    });
}
