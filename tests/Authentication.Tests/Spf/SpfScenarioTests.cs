using MailPipeline.Authentication.Spf;

namespace MailPipeline.Authentication.Tests.Spf;

/// <summary>Cases that need a zone of their own: which identity is asked, what DNS does not say, what it may cost, what is explained.</summary>
public sealed class SpfScenarioTests
{
    private static readonly (string Name, string Text)[] s_scenarios =
    [
        ("names that are none (§4.3)", """
            example.org TXT v=spf1 -all
            org TXT v=spf1 -all
            192.0.2.1 [192.0.2.1] helo -> none
            192.0.2.1 [IPv6:2001:db8::1] helo -> none
            192.0.2.1 org helo -> none
            192.0.2.1 friend helo -> none
            192.0.2.1 example.org. helo -> fail
            192.0.2.1 .example.org helo -> none
            192.0.2.1 a..example.org helo -> none
            192.0.2.1 192.0.2.1 helo -> none
            192.0.2.1 0123456789012345678901234567890123456789012345678901234567890123.example.org helo -> none
            192.0.2.1 a.example.org ann@org -> none
            192.0.2.1 a.example.org ann@[192.0.2.1] -> none
            192.0.2.1 a.example.org ann@nothere.example -> none
            192.0.2.1 a.example.org ann@EXAMPLE.org -> fail
            """),
        ("the null path stands for postmaster of the greeting (§2.4)", """
            mx.example.org TXT v=spf1 exists:%{l}.%{o}.x.org -all
            postmaster.mx.example.org.x.org A 127.0.0.2
            192.0.2.1 mx.example.org - -> pass
            192.0.2.1 mx.example.org helo -> pass
            192.0.2.1 mx.example.org ann@mx.example.org -> fail
            192.0.2.1 [192.0.2.1] - -> none
            """),
        ("an empty local part is postmaster (§4.3)", """
            example.org TXT v=spf1 exists:%{l}.x.org -all
            postmaster.x.org A 127.0.0.2
            192.0.2.1 mx.example.org ""@example.org -> pass
            192.0.2.1 mx.example.org "postmaster"@example.org -> pass
            """),
        ("DNS that does not answer (§4.4, §5)", """
            txt.example.org TXT !
            a.example.org TXT v=spf1 a -all
            a.example.org A !
            later.example.org TXT v=spf1 ip4:192.0.2.1 a:a.example.org -all
            mx.example.org TXT v=spf1 mx -all
            mx.example.org MX !
            exists.example.org TXT v=spf1 exists:a.example.org -all
            ptr.example.org TXT v=spf1 ptr -all
            1.2.0.192.in-addr.arpa PTR !
            p.example.org TXT v=spf1 exists:%{p}.x.org -all
            unknown.x.org A 127.0.0.2
            192.0.2.1 h.example.net x@txt.example.org -> temperror
            192.0.2.1 h.example.net x@a.example.org -> temperror
            192.0.2.1 h.example.net x@later.example.org -> pass
            192.0.2.2 h.example.net x@later.example.org -> temperror
            192.0.2.1 h.example.net x@mx.example.org -> temperror
            192.0.2.1 h.example.net x@exists.example.org -> temperror
            192.0.2.1 h.example.net x@ptr.example.org -> fail
            192.0.2.1 h.example.net x@p.example.org -> pass
            """),
        ("IPv6 (§5)", """
            example.org TXT v=spf1 a/24//64 -all
            example.org A 192.0.2.1
            example.org AAAA 2001:db8:0:1::1
            mx.example.org TXT v=spf1 mx:four.example.org mx//64 -all
            mx.example.org MX 10 six.example.org
            six.example.org AAAA 2001:db8:0:2::1
            four.example.org MX 10 onlyfour.example.org
            onlyfour.example.org A 192.0.2.77
            ip6.example.org TXT v=spf1 ip6:2001:db8::/33 -all
            ip4.example.org TXT v=spf1 ip4:0.0.0.0/0 -all
            mapped.example.org TXT v=spf1 ip6:::ffff:192.0.2.1 -all
            exists.example.org TXT v=spf1 exists:onlyfour.example.org -all
            ptr.example.org TXT v=spf1 ptr:six.example.org -all
            1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.2.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa PTR six.example.org
            2001:db8:0:1::99 h.example.net x@example.org -> pass
            2001:db8:0:2::99 h.example.net x@example.org -> fail
            192.0.2.99 h.example.net x@example.org -> pass
            ::ffff:192.0.2.99 h.example.net x@example.org -> pass
            ::ffff:198.51.100.1 h.example.net x@example.org -> fail
            2001:db8:0:2::99 h.example.net x@mx.example.org -> pass
            192.0.2.77 h.example.net x@mx.example.org -> pass
            2001:db8:7fff::1 h.example.net x@ip6.example.org -> pass
            2001:db8:8000::1 h.example.net x@ip6.example.org -> fail
            2001:db8::1 h.example.net x@ip4.example.org -> fail
            192.0.2.1 h.example.net x@ip4.example.org -> pass
            ::ffff:192.0.2.1 h.example.net x@ip4.example.org -> pass
            ::ffff:192.0.2.1 h.example.net x@mapped.example.org -> fail
            2001:db8::1 h.example.net x@exists.example.org -> pass
            2001:db8:0:2::1 h.example.net x@ptr.example.org -> pass
            2001:db8:0:2::2 h.example.net x@ptr.example.org -> fail
            """),
        ("ten terms that ask DNS, and no more (§4.6.4)", """
            ten.example.org TXT v=spf1 a:h.x.org a:h.x.org a:h.x.org a:h.x.org a:h.x.org a:h.x.org a:h.x.org a:h.x.org a:h.x.org a:h.x.org ip4:192.0.2.1 -all
            eleven.example.org TXT v=spf1 a:h.x.org a:h.x.org a:h.x.org a:h.x.org a:h.x.org a:h.x.org a:h.x.org a:h.x.org a:h.x.org a:h.x.org a:h.x.org ip4:192.0.2.1 -all
            early.example.org TXT v=spf1 ip4:192.0.2.1 a:h.x.org a:h.x.org a:h.x.org a:h.x.org a:h.x.org a:h.x.org a:h.x.org a:h.x.org a:h.x.org a:h.x.org a:h.x.org -all
            h.x.org A 198.51.100.1
            loop.example.org TXT v=spf1 include:loop.example.org -all
            circle.example.org TXT v=spf1 redirect=circle2.example.org
            circle2.example.org TXT v=spf1 redirect=circle.example.org
            self.example.org TXT v=spf1 a:h.x.org redirect=self.example.org
            deep.example.org TXT v=spf1 include:d1.example.org -all
            d1.example.org TXT v=spf1 include:d2.example.org
            d2.example.org TXT v=spf1 include:d3.example.org
            d3.example.org TXT v=spf1 a:h.x.org a:h.x.org a:h.x.org ptr:h.x.org a:h.x.org a:h.x.org a:h.x.org ip4:192.0.2.1
            deeper.example.org TXT v=spf1 include:deep.example.org -all
            names.example.org TXT v=spf1 a:%{p}.y.org a:%{p}.y.org a:%{p}.y.org a:%{p}.y.org a:%{p}.y.org ip4:192.0.2.1 -all
            names2.example.org TXT v=spf1 a:%{p}.y.org a:%{p}.y.org a:%{p}.y.org a:%{p}.y.org a:%{p}.y.org a:h.x.org ip4:192.0.2.1 -all
            unknown.y.org A 198.51.100.9
            192.0.2.1 h.example.net x@ten.example.org -> pass
            192.0.2.1 h.example.net x@eleven.example.org -> permerror
            192.0.2.1 h.example.net x@early.example.org -> pass
            192.0.2.1 h.example.net x@loop.example.org -> permerror
            192.0.2.1 h.example.net x@circle.example.org -> permerror
            192.0.2.1 h.example.net x@self.example.org -> permerror
            192.0.2.1 h.example.net x@deep.example.org -> pass
            192.0.2.1 h.example.net x@deeper.example.org -> permerror
            192.0.2.1 h.example.net x@names.example.org -> pass
            192.0.2.1 h.example.net x@names2.example.org -> permerror
            """),
        ("two terms that find nothing (§4.6.4)", """
            two.example.org TXT v=spf1 a:n1.x.org mx:n2.x.org ip4:192.0.2.1 -all
            three.example.org TXT v=spf1 a:n1.x.org mx:n2.x.org exists:n3.x.org ip4:192.0.2.1 -all
            nodata.example.org TXT v=spf1 a:mail.x.org a:mail.x.org a:mail.x.org ip4:192.0.2.1 -all
            mail.x.org TXT no address
            hosts.example.org TXT v=spf1 mx:m.x.org ip4:192.0.2.1 -all
            m.x.org MX 10 n4.x.org
            m.x.org MX 10 n5.x.org
            m.x.org MX 10 n6.x.org
            none.example.org TXT v=spf1 -all
            192.0.2.1 h.example.net x@two.example.org -> pass
            192.0.2.1 h.example.net x@three.example.org -> permerror
            192.0.2.1 h.example.net x@nodata.example.org -> permerror
            192.0.2.1 h.example.net x@hosts.example.org -> pass
            192.0.2.1 h.example.net x@none.example.org -> fail
            """),
        ("ten hosts of an mx, ten names of an address (§4.6.4)", $"""
            ten.example.org TXT v=spf1 mx -all
            {Many(10, i => $"ten.example.org MX {i} h{i}.x.org")}
            eleven.example.org TXT v=spf1 mx -all
            {Many(11, i => $"eleven.example.org MX {i} h{i}.x.org")}
            {Many(11, i => $"h{i}.x.org A 192.0.2.{i}")}
            ptr.example.org TXT v=spf1 ptr:x.org -all
            {Many(11, i => $"3.2.0.192.in-addr.arpa PTR {(i == 11 ? "h3.x.org" : $"p{i}.y.org")}")}
            {Many(11, i => $"4.2.0.192.in-addr.arpa PTR {(i == 10 ? "h4.x.org" : $"p{i}.y.org")}")}
            192.0.2.10 h.example.net x@ten.example.org -> pass
            192.0.2.11 h.example.net x@ten.example.org -> fail
            192.0.2.10 h.example.net x@eleven.example.org -> pass
            192.0.2.99 h.example.net x@eleven.example.org -> permerror
            192.0.2.4 h.example.net x@ptr.example.org -> pass
            192.0.2.3 h.example.net x@ptr.example.org -> fail
            """),
        ("explanations (§6.2)", """
            example.org TXT v=spf1 -all exp=why.example.org
            why.example.org TXT Mail of %{o} comes from elsewhere than %{c} (%{i}, %{h}, %{r}, %{t}); %{l}%_%{d2}%-100%%
            quiet.example.org TXT v=spf1 -all
            pass.example.org TXT v=spf1 +all exp=why.example.org
            soft.example.org TXT v=spf1 ~all exp=why.example.org
            gone.example.org TXT v=spf1 -all exp=nothere.example.org
            silent.example.org TXT v=spf1 -all exp=failing.example.org
            failing.example.org TXT !
            two.example.org TXT v=spf1 -all exp=twotexts.example.org
            twotexts.example.org TXT one
            twotexts.example.org TXT two
            bad.example.org TXT v=spf1 -all exp=badtext.example.org
            badtext.example.org TXT %{z} is no macro
            nonascii.example.org TXT v=spf1 -all exp=nonasciitext.example.org
            nonasciitext.example.org TXT Gr\u00FC\u00DFe
            empty.example.org TXT v=spf1 -all exp=emptytext.example.org
            emptytext.example.org TXT
            macro.example.org TXT v=spf1 -all exp=%{l}.%{d}
            ann.macro.example.org TXT ann may not
            incl.example.org TXT v=spf1 -include:pass.example.org exp=outer.example.org
            incl2.example.org TXT v=spf1 include:example.org -all exp=outer.example.org
            incl3.example.org TXT v=spf1 include:example.org -all
            outer.example.org TXT outer
            redir.example.org TXT v=spf1 redirect=example.org exp=outer.example.org
            redir2.example.org TXT v=spf1 redirect=quiet.example.org exp=outer.example.org
            upper.example.org TXT v=spf1 -all exp=url.example.org
            url.example.org TXT https://example.org/why?s=%{S};ip=%{C}
            p.example.org TXT v=spf1 -all exp=ptext.example.org
            ptext.example.org TXT %{p}
            192.0.2.3 mx.example.net ann@example.org -> fail; Mail of example.org comes from elsewhere than 192.0.2.3 (192.0.2.3, mx.example.net, mx.receiver.example, 1893456000); ann example.org%20100%
            2001:db8::1 mx.example.net ann@example.org -> fail; Mail of example.org comes from elsewhere than 2001:db8::1 (2.0.0.1.0.d.b.8.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1, mx.example.net, mx.receiver.example, 1893456000); ann example.org%20100%
            192.0.2.3 mx.example.net ann@quiet.example.org -> fail
            192.0.2.3 mx.example.net ann@pass.example.org -> pass
            192.0.2.3 mx.example.net ann@soft.example.org -> softfail
            192.0.2.3 mx.example.net ann@gone.example.org -> fail
            192.0.2.3 mx.example.net ann@silent.example.org -> fail
            192.0.2.3 mx.example.net ann@two.example.org -> fail
            192.0.2.3 mx.example.net ann@bad.example.org -> fail
            192.0.2.3 mx.example.net ann@nonascii.example.org -> fail
            192.0.2.3 mx.example.net ann@empty.example.org -> fail
            192.0.2.3 mx.example.net ann@macro.example.org -> fail; ann may not
            192.0.2.3 mx.example.net bob@macro.example.org -> fail
            192.0.2.3 mx.example.net ann@incl.example.org -> fail; outer
            192.0.2.3 mx.example.net ann@incl2.example.org -> fail; outer
            192.0.2.3 mx.example.net ann@incl3.example.org -> fail
            192.0.2.3 mx.example.net ann@redir.example.org -> fail; Mail of redir.example.org comes from elsewhere than 192.0.2.3 (192.0.2.3, mx.example.net, mx.receiver.example, 1893456000); ann example.org%20100%
            192.0.2.3 mx.example.net ann@redir2.example.org -> fail
            192.0.2.3 mx.example.net ann@upper.example.org -> fail; https://example.org/why?s=ann%40upper.example.org;ip=192.0.2.3
            192.0.2.3 mx.example.net ann@p.example.org -> fail; unknown
            """),
        ("local parts beyond ASCII match nothing that has them (RFC 8616 §4)", """
            example.org TXT v=spf1 exists:%{l}.x.org ?exists:%{s}.x.org -all
            all.example.org TXT v=spf1 exists:%{d}.x.org -all exp=%{l}.example.org
            all.example.org.x.org A 127.0.0.2
            redirect.example.org TXT v=spf1 redirect=%{l}.x.org
            xn--bcher-kva.example TXT v=spf1 ip4:192.0.2.1 -all
            192.0.2.1 h.example.net \u00FC@example.org -> fail
            192.0.2.1 h.example.net \u00FC@all.example.org -> pass
            192.0.2.1 h.example.net \u00FC@redirect.example.org -> neutral
            192.0.2.1 h.example.net ann@b\u00FCcher.example -> pass
            """),
        ("what is too long loses labels at its left (§7.3)", $"""
            example.org TXT v=spf1 exists:{string.Concat(Enumerable.Repeat("%{d}.", 22))}%-{string.Concat(Enumerable.Repeat("x.", 5))}y.org -all
            org.{string.Concat(Enumerable.Repeat("example.org.", 19))}%20x.x.x.x.x.y.org A 127.0.0.2
            192.0.2.1 h.example.net ann@example.org -> pass
            """),
        ("names of a client (§5.5)", """
            example.org TXT v=spf1 ptr -all
            p.example.org TXT v=spf1 exists:%{p}.x.org -all
            4.2.0.192.in-addr.arpa PTR nothere.example.org
            4.2.0.192.in-addr.arpa PTR broken.example.org
            4.2.0.192.in-addr.arpa PTR good.example.org
            nothere.example.org TXT no address
            broken.example.org A !
            good.example.org A 192.0.2.4
            5.2.0.192.in-addr.arpa PTR good.example.org
            6.2.0.192.in-addr.arpa PTR any.example.net
            6.2.0.192.in-addr.arpa PTR sub.p.example.org
            6.2.0.192.in-addr.arpa PTR p.example.org
            any.example.net A 192.0.2.6
            sub.p.example.org A 192.0.2.6
            p.example.org A 192.0.2.6
            7.2.0.192.in-addr.arpa PTR any7.example.net
            7.2.0.192.in-addr.arpa PTR sub.p.example.org
            any7.example.net A 192.0.2.7
            sub.p.example.org A 192.0.2.7
            p.example.org.x.org A 127.0.0.2
            sub.p.example.org.x.org A 127.0.0.2
            192.0.2.4 h.example.net x@example.org -> pass
            192.0.2.5 h.example.net x@example.org -> fail
            192.0.2.9 h.example.net x@example.org -> fail
            192.0.2.6 h.example.net x@p.example.org -> pass
            192.0.2.7 h.example.net x@p.example.org -> pass
            192.0.2.4 h.example.net x@p.example.org -> fail
            """),
    ];

    public static TheoryData<string, string> Cases => SpfScenario.Of(s_scenarios);

    [Theory]
    [MemberData(nameof(Cases))]
    public async Task It_is_judged(string scenario, string line) => await SpfScenario.RunAsync(TextOf(scenario), line.Replace("\\u00FC", "\u00FC", StringComparison.Ordinal));

    [Theory]
    [InlineData("ten terms that ask DNS, and no more (§4.6.4)", "loop.example.org", SpfLimit.LookUps)]
    [InlineData("two terms that find nothing (§4.6.4)", "three.example.org", SpfLimit.VoidLookUps)]
    [InlineData("ten hosts of an mx, ten names of an address (§4.6.4)", "eleven.example.org", SpfLimit.MxHosts)]
    public async Task A_bound_that_ended_it_is_named(string scenario, string domain, SpfLimit limit)
    {
        var (found, dns) = await SpfScenario.RunAsync(TextOf(scenario), $"203.0.113.9 h.example.net x@{domain} -> permerror");
        Assert.Equal(limit, found.Limit);
        Assert.InRange(dns.Questions.Count, 1, 25);
    }

    private static string TextOf(string scenario) =>
        s_scenarios.Single(one => one.Name == scenario).Text.Replace("\\u00FC", "\u00FC", StringComparison.Ordinal).Replace("\\u00DF", "\u00DF", StringComparison.Ordinal);

    private static string Many(int count, Func<int, string> line) => string.Join('\n', Enumerable.Range(1, count).Select(line));
}
