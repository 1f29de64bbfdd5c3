namespace MailPipeline.Authentication.Tests.Spf;

/// <summary>The examples of RFC 7208: appendix A, and the expansions of §7.4.</summary>
public sealed class SpfExampleTests
{
    // Appendix A, as its zone files have it.
    private const string Zone = """
        example.com MX 10 mail-a.example.com
        example.com MX 20 mail-b.example.com
        example.com A 192.0.2.10
        example.com A 192.0.2.11
        amy.example.com A 192.0.2.65
        bob.example.com A 192.0.2.66
        mail-a.example.com A 192.0.2.129
        mail-b.example.com A 192.0.2.130
        www.example.com CNAME example.com
        example.org MX 10 mail-c.example.org
        mail-c.example.org A 192.0.2.140
        10.2.0.192.in-addr.arpa PTR example.com
        11.2.0.192.in-addr.arpa PTR example.com
        65.2.0.192.in-addr.arpa PTR amy.example.com
        66.2.0.192.in-addr.arpa PTR bob.example.com
        129.2.0.192.in-addr.arpa PTR mail-a.example.com
        130.2.0.192.in-addr.arpa PTR mail-b.example.com
        140.2.0.192.in-addr.arpa PTR mail-c.example.org
        4.0.0.10.in-addr.arpa PTR bob.example.com
        """;

    private static readonly (string Name, string Text)[] s_scenarios =
    [
        ("A.1 +all", """
            example.com TXT v=spf1 +all
            192.0.2.10 h.example.net x@example.com -> pass
            203.0.113.9 h.example.net x@example.com -> pass
            2001:db8::1 h.example.net x@example.com -> pass
            """),
        ("A.1 a", """
            example.com TXT v=spf1 a -all
            192.0.2.10 h.example.net x@example.com -> pass
            192.0.2.11 h.example.net x@example.com -> pass
            192.0.2.12 h.example.net x@example.com -> fail
            """),
        ("A.1 a:example.org", """
            example.com TXT v=spf1 a:example.org -all
            192.0.2.140 h.example.net x@example.com -> fail
            192.0.2.10 h.example.net x@example.com -> fail
            """),
        ("A.1 mx", """
            example.com TXT v=spf1 mx -all
            192.0.2.129 h.example.net x@example.com -> pass
            192.0.2.130 h.example.net x@example.com -> pass
            192.0.2.140 h.example.net x@example.com -> fail
            """),
        ("A.1 mx:example.org", """
            example.com TXT v=spf1 mx:example.org -all
            192.0.2.140 h.example.net x@example.com -> pass
            192.0.2.129 h.example.net x@example.com -> fail
            """),
        ("A.1 mx mx:example.org", """
            example.com TXT v=spf1 mx mx:example.org -all
            192.0.2.129 h.example.net x@example.com -> pass
            192.0.2.130 h.example.net x@example.com -> pass
            192.0.2.140 h.example.net x@example.com -> pass
            192.0.2.141 h.example.net x@example.com -> fail
            """),
        ("A.1 mx/30 mx:example.org/30", """
            example.com TXT v=spf1 mx/30 mx:example.org/30 -all
            192.0.2.128 h.example.net x@example.com -> pass
            192.0.2.131 h.example.net x@example.com -> pass
            192.0.2.132 h.example.net x@example.com -> fail
            192.0.2.140 h.example.net x@example.com -> pass
            192.0.2.143 h.example.net x@example.com -> pass
            192.0.2.144 h.example.net x@example.com -> fail
            """),
        ("A.1 ptr", """
            example.com TXT v=spf1 ptr -all
            192.0.2.65 h.example.net x@example.com -> pass
            192.0.2.140 h.example.net x@example.com -> fail
            10.0.0.4 h.example.net x@example.com -> fail
            """),
        ("A.1 ip4", """
            example.com TXT v=spf1 ip4:192.0.2.128/28 -all
            192.0.2.65 h.example.net x@example.com -> fail
            192.0.2.129 h.example.net x@example.com -> pass
            """),
        ("A.2 several domains", """
            example.org TXT v=spf1 include:example.com include:example.net -all
            la.example.org TXT v=spf1 redirect=example.org
            ny.example.org TXT v=spf1 redirect=example.org
            example.com TXT v=spf1 mx -all
            example.net TXT v=spf1 a -all
            example.net A 192.0.2.200
            192.0.2.129 h.example.net x@example.org -> pass
            192.0.2.200 h.example.net x@la.example.org -> pass
            192.0.2.130 h.example.net x@ny.example.org -> pass
            192.0.2.10 h.example.net x@ny.example.org -> fail
            """),
        ("A.3 per-user rules by exists", """
            example.com TXT v=spf1 mx include:mobile-users._spf.%{d} include:remote-users._spf.%{d} -all
            mobile-users._spf.example.com TXT v=spf1 exists:%{l1r+}.%{d}
            mary.mobile-users._spf.example.com A 127.0.0.2
            fred.mobile-users._spf.example.com A 127.0.0.2
            remote-users._spf.example.com TXT v=spf1 exists:%{ir}.%{l1r+}.%{d}
            16.15.14.198.joel.remote-users._spf.example.com A 127.0.0.2
            192.0.2.129 h.example.net anybody@example.com -> pass
            203.0.113.1 h.example.net mary@example.com -> pass
            203.0.113.1 h.example.net mary+lists@example.com -> pass
            203.0.113.1 h.example.net lists+mary@example.com -> fail
            203.0.113.1 h.example.net joel@example.com -> fail
            198.14.15.16 h.example.net joel@example.com -> pass
            198.14.15.16 h.example.net ann@example.com -> fail
            """),
        ("A.3 per-user rules by redirect", """
            example.com TXT v=spf1 redirect=%{l1r+}._at_.%{o}._spf.%{d}
            ann._at_.example.com._spf.example.com TXT v=spf1 ip4:203.0.113.1 -all
            203.0.113.1 h.example.net ann@example.com -> pass
            203.0.113.2 h.example.net ann@example.com -> fail
            203.0.113.2 h.example.net bob@example.com -> permerror
            """),
        ("A.4 list of addresses in DNS", """
            example.com TXT v=spf1 exists:_h.%{h}._l.%{l}._o.%{o}._i.%{i}._spf.%{d} ?all
            _h.mx.example.net._l.ann._o.example.com._i.203.0.113.1._spf.example.com A 127.0.0.2
            203.0.113.1 mx.example.net ann@example.com -> pass
            203.0.113.2 mx.example.net ann@example.com -> neutral
            203.0.113.1 my.example.net ann@example.com -> neutral
            """),
        ("A.5 both of two mechanisms", """
            example.com TXT v=spf1 -include:ip4._spf.%{d} -include:ptr._spf.%{d} +all
            ip4._spf.example.com TXT v=spf1 -ip4:192.0.2.0/24 +all
            ptr._spf.example.com TXT v=spf1 -ptr:example.com +all
            192.0.2.65 h.example.net x@example.com -> pass
            192.0.2.140 h.example.net x@example.com -> fail
            10.0.0.4 h.example.net x@example.com -> fail
            """),
    ];

    public static TheoryData<string, string> Examples => SpfScenario.Of(s_scenarios);

    // §7.4: sent by strong-bad@email.example.com from 192.0.2.3 or 2001:db8::cb01, whose name is mx.example.org.
    public static TheoryData<string, string, string> Expansions => new()
    {
        { "192.0.2.3", "%{s}", "strong-bad@email.example.com" },
        { "192.0.2.3", "%{o}", "email.example.com" },
        { "192.0.2.3", "%{d}", "email.example.com" },
        { "192.0.2.3", "%{d4}", "email.example.com" },
        { "192.0.2.3", "%{d3}", "email.example.com" },
        { "192.0.2.3", "%{d2}", "example.com" },
        { "192.0.2.3", "%{d1}", "com" },
        { "192.0.2.3", "%{dr}", "com.example.email" },
        { "192.0.2.3", "%{d2r}", "example.email" },
        { "192.0.2.3", "%{l}", "strong-bad" },
        { "192.0.2.3", "%{l-}", "strong.bad" },
        { "192.0.2.3", "%{lr}", "strong-bad" },
        { "192.0.2.3", "%{lr-}", "bad.strong" },
        { "192.0.2.3", "%{l1r-}", "strong" },
        { "192.0.2.3", "%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com" },
        { "192.0.2.3", "%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com" },
        { "192.0.2.3", "%{lr-}.lp.%{ir}.%{v}._spf.%{d2}", "bad.strong.lp.3.2.0.192.in-addr._spf.example.com" },
        { "192.0.2.3", "%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}", "3.2.0.192.in-addr.strong.lp._spf.example.com" },
        { "192.0.2.3", "%{d2}.trusted-domains.example.net", "example.com.trusted-domains.example.net" },
        { "2001:db8::cb01", "%{ir}.%{v}._spf.%{d2}", "1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6._spf.example.com" },

        // Beyond the text of the RFC.
        { "192.0.2.3", "%{p}.x.org", "mx.example.org.x.org" },
        { "192.0.2.4", "%{p}.x.org", "unknown.x.org" },
        { "192.0.2.3", "%{h}.x.org", "mx.example.org.x.org" },
        { "192.0.2.3", "%{i1}.x.org", "3.x.org" },
        { "192.0.2.3", "%{S}.x.org", "strong-bad%40email.example.com.x.org" },
        { "192.0.2.3", "%{s@}.x.org", "" },
        { "192.0.2.3", "%{o=.}.x.org", "email.example.com.x.org" },
        { "192.0.2.3", "a%%b%_c%-d.x.org", "a%b c%20d.x.org" },
        { "192.0.2.3", "%{d}.", "" },
    };

    [Theory]
    [MemberData(nameof(Examples))]
    public async Task An_example_says_what_the_text_says(string scenario, string line) =>
        await SpfScenario.RunAsync(Zone + "\n" + s_scenarios.Single(one => one.Name == scenario).Text, line);

    [Theory]
    [MemberData(nameof(Expansions))]
    public async Task Macros_expand_to_the_name_that_is_asked_for(string client, string macro, string name)
    {
        var zone = $"""
            3.2.0.192.in-addr.arpa PTR mx.example.org
            mx.example.org A 192.0.2.3
            email.example.com TXT v=spf1 exists:{macro} ?all
            """;
        var (_, dns) = await SpfScenario.RunAsync(
            zone, $"{client} mx.example.org strong-bad@email.example.com -> {(name.Length == 0 ? "permerror" : "neutral")}");
        if (name.Length > 0)
            Assert.Contains($"A {name}", dns.Questions);
    }
}
