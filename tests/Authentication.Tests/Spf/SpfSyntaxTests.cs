using System.Net;
using MailPipeline.Authentication.Spf;

namespace MailPipeline.Authentication.Tests.Spf;

/// <summary>One record in each row, and what it says of 192.0.2.1 that sends for ann@example.org (RFC 7208 §4.5, §4.6, §5, §12).</summary>
public sealed class SpfSyntaxTests
{
    private const string Zone = """
        example.org A 192.0.2.1
        example.org MX 10 mx.example.org
        mx.example.org A 192.0.2.1
        other.example.org A 198.51.100.7
        other.example.org MX 10 mx.other.example.org
        mx.other.example.org A 198.51.100.7
        pass.example.org TXT v=spf1 +all
        fail.example.org TXT v=spf1 -all
        soft.example.org TXT v=spf1 ~all
        neutral.example.org TXT v=spf1 ?all
        nothing.example.org TXT v=spf1
        nospf.example.org TXT hello
        wrong.example.org TXT v=spf1 what
        two.example.org TXT v=spf1 +all
        two.example.org TXT v=spf1 -all
        silent.example.org TXT !
        broken.example.org A !
        broken.example.org MX !
        halfbroken.example.org MX 10 broken.example.org
        foo:bar/baz.example.org A 192.0.2.1
        example.org.1.2.0.192.d.example.org A 127.0.0.2
        1.2.0.192.in-addr.arpa PTR mx.example.org
        """;

    public static TheoryData<string, string> Records => new()
    {
        // Selection (§4.5).
        { "v=spf1", "neutral" }, { "v=spf1 ", "neutral" }, { "v=spf1 -all", "fail" }, { "V=SPF1 -all", "fail" }, { "v=SpF1 -ALL", "fail" },
        { "v=spf10 -all", "none" }, { "v=spf1-all", "none" }, { " v=spf1 -all", "none" }, { "v=spf", "none" }, { "v=spf1\t-all", "none" },
        { "v=spf2.0/pra -all", "none" }, { "spf1 -all", "none" }, { "v=spf1. -all", "none" }, { "v=spf1;-all", "none" }, { "", "none" },

        // Terms and the spaces between them (§4.6.1).
        { "v=spf1   -all   ", "fail" }, { "v=spf1 -all -all", "fail" }, { "v=spf1 +all -all", "pass" }, { "v=spf1 -\tall", "permerror" },
        { "v=spf1 a\tb", "permerror" }, { "v=spf1 -all\n", "permerror" }, { "v=spf1 ?all\u0001", "permerror" }, { "v=spf1 a:\u00E9.example.org -all", "permerror" },
        { "v=spf1 +all", "pass" }, { "v=spf1 all", "pass" }, { "v=spf1 ~all", "softfail" }, { "v=spf1 ?all", "neutral" }, { "v=spf1 *all", "permerror" },
        { "v=spf1 --all", "permerror" }, { "v=spf1 +", "permerror" }, { "v=spf1 -", "permerror" }, { "v=spf1 + all", "permerror" },

        // One fault anywhere spoils all of it (§4.6).
        { "v=spf1 +all what", "permerror" }, { "v=spf1 ip4:192.0.2.1 -all ip6:x", "permerror" }, { "v=spf1 moo", "permerror" }, { "v=spf1 default", "permerror" },
        { "v=spf1 +all:example.org", "permerror" }, { "v=spf1 all/8", "permerror" }, { "v=spf1 all:", "permerror" }, { "v=spf1 all.", "permerror" },
        { "v=spf1 a.b", "permerror" }, { "v=spf1 mx1", "permerror" }, { "v=spf1 ip:192.0.2.1", "permerror" }, { "v=spf1 includes:pass.example.org", "permerror" },

        // Modifiers (§6).
        { "v=spf1 moo=cow -all", "fail" }, { "v=spf1 moo.cow-far_out=man:dog/cat -all", "fail" }, { "v=spf1 m1=x -all", "fail" }, { "v=spf1 moo= -all", "fail" },
        { "v=spf1 1moo=cow -all", "permerror" }, { "v=spf1 =cow -all", "permerror" }, { "v=spf1 -moo=cow -all", "permerror" }, { "v=spf1 m$o=cow -all", "permerror" },
        { "v=spf1 moo=%{d} -all", "fail" }, { "v=spf1 moo=%{x} -all", "permerror" }, { "v=spf1 moo=% -all", "permerror" }, { "v=spf1 a=example.org -all", "fail" },
        { "v=spf1 all=x -all", "fail" }, { "v=spf1 moo=%{t} -all", "fail" },
        { "v=spf1 redirect=pass.example.org", "pass" }, { "v=spf1 REDIRECT=fail.example.org", "fail" }, { "v=spf1 redirect=pass.example.org -all", "fail" },
        { "v=spf1 redirect=pass.example.org ip4:198.51.100.0/24", "pass" }, { "v=spf1 redirect=soft.example.org ?ip4:192.0.2.1", "neutral" },
        { "v=spf1 redirect=nospf.example.org", "permerror" }, { "v=spf1 redirect=nothere.example.org", "permerror" }, { "v=spf1 redirect=silent.example.org", "temperror" },
        { "v=spf1 redirect=wrong.example.org", "permerror" }, { "v=spf1 redirect=nothing.example.org", "neutral" }, { "v=spf1 redirect=", "permerror" },
        { "v=spf1 redirect=pass.example.org redirect=pass.example.org", "permerror" }, { "v=spf1 redirect=example", "permerror" }, { "v=spf1 redirect:pass.example.org", "permerror" },
        { "v=spf1 redirect=pass.example.org/24", "permerror" }, { "v=spf1 redirect=two.example.org", "permerror" },
        { "v=spf1 exp=x.example.org exp=x.example.org -all", "permerror" }, { "v=spf1 exp=x.example.org redirect=fail.example.org", "fail" },
        { "v=spf1 exp= -all", "permerror" }, { "v=spf1 exp=x -all", "permerror" }, { "v=spf1 exp=%{c}.example.org -all", "permerror" },

        // include (§5.2)
        { "v=spf1 include:pass.example.org -all", "pass" }, { "v=spf1 include:fail.example.org ~all", "softfail" }, { "v=spf1 include:soft.example.org -all", "fail" },
        { "v=spf1 include:neutral.example.org -all", "fail" }, { "v=spf1 include:nothing.example.org -all", "fail" }, { "v=spf1 -include:pass.example.org +all", "fail" },
        { "v=spf1 include:silent.example.org +all", "temperror" }, { "v=spf1 include:wrong.example.org +all", "permerror" }, { "v=spf1 include:nospf.example.org +all", "permerror" },
        { "v=spf1 include:nothere.example.org +all", "permerror" }, { "v=spf1 include:two.example.org +all", "permerror" }, { "v=spf1 include +all", "permerror" },
        { "v=spf1 include: +all", "permerror" }, { "v=spf1 include:example +all", "permerror" }, { "v=spf1 include:pass.example.org/24 -all", "permerror" },
        { "v=spf1 INCLUDE:pass.example.org -all", "pass" }, { "v=spf1 include/24:pass.example.org -all", "permerror" }, { "v=spf1 include:pass.example.org. -all", "pass" },

        // a (§5.3)
        { "v=spf1 a -all", "pass" }, { "v=spf1 A -all", "pass" }, { "v=spf1 a:example.org -all", "pass" }, { "v=spf1 a:EXAMPLE.org -all", "pass" }, { "v=spf1 a:example.org. -all", "pass" },
        { "v=spf1 a:other.example.org -all", "fail" }, { "v=spf1 a/24 -all", "pass" }, { "v=spf1 a:other.example.org/0 -all", "pass" }, { "v=spf1 a:other.example.org/1 -all", "pass" },
        { "v=spf1 a:other.example.org/8 -all", "fail" }, { "v=spf1 a/32 -all", "pass" }, { "v=spf1 a/33 -all", "permerror" }, { "v=spf1 a/024 -all", "permerror" },
        { "v=spf1 a/ -all", "permerror" }, { "v=spf1 a/x -all", "permerror" }, { "v=spf1 a/-1 -all", "permerror" }, { "v=spf1 a//64 -all", "pass" }, { "v=spf1 a//128 -all", "pass" },
        { "v=spf1 a//129 -all", "permerror" }, { "v=spf1 a//064 -all", "permerror" }, { "v=spf1 a// -all", "permerror" }, { "v=spf1 a/24//64 -all", "pass" }, { "v=spf1 a/24/64 -all", "permerror" },
        { "v=spf1 a/24//129 -all", "permerror" }, { "v=spf1 a//64/24 -all", "permerror" }, { "v=spf1 a:example.org/24//64 -all", "pass" }, { "v=spf1 a:example.org//0 -all", "pass" },
        { "v=spf1 a: -all", "permerror" }, { "v=spf1 a:/24 -all", "permerror" }, { "v=spf1 a:example -all", "permerror" }, { "v=spf1 a:museum. -all", "permerror" },
        { "v=spf1 a:1.2.3.4 -all", "permerror" }, { "v=spf1 a:192.0.2.1/24 -all", "permerror" }, { "v=spf1 a:example.org:8080 -all", "permerror" }, { "v=spf1 a:example.-com -all", "permerror" },
        { "v=spf1 a:example.com- -all", "permerror" }, { "v=spf1 a:example.c-om -all", "fail" }, { "v=spf1 a:example.1om -all", "fail" }, { "v=spf1 a:example.c_m -all", "permerror" },
        { "v=spf1 a:foo:bar/baz.example.org -all", "pass" }, { "v=spf1 a:..example.org -all", "fail" }, { "v=spf1 a:.example.org -all", "fail" }, { "v=spf1 a:example..org -all", "fail" },
        { "v=spf1 a:broken.example.org -all", "temperror" }, { "v=spf1 a:nothere.example.org -all", "fail" }, { "v=spf1 a:example.org/24: -all", "permerror" },
        { "v=spf1 a:abc.%{d} -all", "fail" }, { "v=spf1 a:%{d} -all", "pass" }, { "v=spf1 a:%%%_%- -all", "fail" }, { "v=spf1 a:x%{d}com -all", "permerror" },
        { "v=spf1 a:example.org%% -all", "fail" }, { "v=spf1 a:%{d}/24 -all", "pass" }, { "v=spf1 a:0123456789012345678901234567890123456789012345678901234567890123.example.org -all", "fail" },

        // mx (§5.4)
        { "v=spf1 mx -all", "pass" }, { "v=spf1 mx:example.org -all", "pass" }, { "v=spf1 mx:other.example.org -all", "fail" }, { "v=spf1 mx/24 -all", "pass" }, { "v=spf1 mx:other.example.org/0 -all", "pass" },
        { "v=spf1 mx/33 -all", "permerror" }, { "v=spf1 mx//129 -all", "permerror" }, { "v=spf1 mx/ -all", "permerror" }, { "v=spf1 mx: -all", "permerror" }, { "v=spf1 mx:example -all", "permerror" },
        { "v=spf1 mx:broken.example.org -all", "temperror" }, { "v=spf1 mx:halfbroken.example.org -all", "temperror" }, { "v=spf1 mx:nothere.example.org -all", "fail" }, { "v=spf1 Mx -all", "pass" },

        // ptr (§5.5)
        { "v=spf1 ptr -all", "pass" }, { "v=spf1 ptr:example.org -all", "pass" }, { "v=spf1 ptr:mx.example.org -all", "pass" }, { "v=spf1 ptr:EXAMPLE.ORG -all", "pass" },
        { "v=spf1 ptr:ample.org -all", "fail" }, { "v=spf1 ptr:example.com -all", "fail" }, { "v=spf1 ptr: -all", "permerror" }, { "v=spf1 ptr/0 -all", "permerror" }, { "v=spf1 ptr:example.org/24 -all", "permerror" },

        // ip4, ip6 (§5.6)
        { "v=spf1 ip4:192.0.2.1 -all", "pass" }, { "v=spf1 ip4:192.0.2.2 -all", "fail" }, { "v=spf1 ip4:192.0.2.0/24 -all", "pass" }, { "v=spf1 ip4:192.0.2.255/24 -all", "pass" },
        { "v=spf1 ip4:192.0.3.0/23 -all", "pass" }, { "v=spf1 ip4:192.0.3.0/24 -all", "fail" }, { "v=spf1 ip4:10.0.0.0/0 -all", "pass" }, { "v=spf1 ip4:192.0.2.1/32 -all", "pass" }, { "v=spf1 ip4:192.0.2.0/31 -all", "pass" },
        { "v=spf1 ip4:192.0.2.2/31 -all", "fail" }, { "v=spf1 ip4:192.0.2.1/33 -all", "permerror" }, { "v=spf1 ip4:192.0.2.1/024 -all", "permerror" }, { "v=spf1 ip4:192.0.2.1// -all", "permerror" },
        { "v=spf1 ip4:192.0.2.1//32 -all", "permerror" }, { "v=spf1 ip4:192.0.2.1/ -all", "permerror" }, { "v=spf1 ip4:192.0.2 -all", "permerror" }, { "v=spf1 ip4:192.0.2.1.1 -all", "permerror" },
        { "v=spf1 ip4:192.0.2.256 -all", "permerror" }, { "v=spf1 ip4:192.0.2.01 -all", "permerror" }, { "v=spf1 ip4:0xC0.0.2.1 -all", "permerror" }, { "v=spf1 ip4:192.0.2. -all", "permerror" },
        { "v=spf1 ip4 -all", "permerror" }, { "v=spf1 ip4: -all", "permerror" }, { "v=spf1 ip4/24 -all", "permerror" }, { "v=spf1 ip4:2001:db8::1 -all", "permerror" }, { "v=spf1 ip4:example.org -all", "permerror" },
        { "v=spf1 IP4:192.0.2.1 -all", "pass" }, { "v=spf1 -ip4:192.0.2.1 +all", "fail" }, { "v=spf1 ip4:192.0.2.1:25 -all", "permerror" }, { "v=spf1 ip4:%{i} -all", "permerror" },
        { "v=spf1 ip6:::1 ~all", "softfail" }, { "v=spf1 ip6:2001:db8::/32 ~all", "softfail" }, { "v=spf1 ip6:::ffff:192.0.2.1 ~all", "softfail" }, { "v=spf1 ip6:::/0 ~all", "softfail" },
        { "v=spf1 ip6:2001:db8::/129 ~all", "permerror" }, { "v=spf1 ip6:2001:db8::/064 ~all", "permerror" }, { "v=spf1 ip6:2001:db8::// ~all", "permerror" }, { "v=spf1 ip6:2001:db8 ~all", "permerror" },
        { "v=spf1 ip6:[::1] ~all", "permerror" }, { "v=spf1 ip6:fe80::1%eth0 ~all", "permerror" }, { "v=spf1 ip6:::g ~all", "permerror" }, { "v=spf1 ip6: ~all", "permerror" }, { "v=spf1 ip6 ~all", "permerror" },
        { "v=spf1 ip6:192.0.2.1 ~all", "permerror" }, { "v=spf1 ip6:1:2:3:4:5:6:7:8:9 ~all", "permerror" }, { "v=spf1 ip6:::192.0.2.256 ~all", "permerror" }, { "v=spf1 ip6:1::2::3 ~all", "permerror" },

        // exists (§5.7)
        { "v=spf1 exists:example.org -all", "pass" }, { "v=spf1 exists:other.example.org -all", "pass" }, { "v=spf1 exists:nothere.example.org -all", "fail" }, { "v=spf1 exists:broken.example.org -all", "temperror" },
        { "v=spf1 exists -all", "permerror" }, { "v=spf1 exists: -all", "permerror" }, { "v=spf1 exists:example.org/24 -all", "permerror" }, { "v=spf1 exists/24 -all", "permerror" },
        { "v=spf1 exists:%{o}.%{ir}.d.%{d} -all", "pass" }, { "v=spf1 exists:pass.example.org -all", "fail" }, { "v=spf1 exists:%{h}.x.org -all", "fail" },

        // Macros (§7.1)
        { "v=spf1 exists:%(d).x.org -all", "permerror" }, { "v=spf1 exists:%{d -all", "permerror" }, { "v=spf1 exists:%{}.x.org -all", "permerror" }, { "v=spf1 exists:% -all", "permerror" },
        { "v=spf1 exists:%a.x.org -all", "permerror" }, { "v=spf1 exists:%{q}.x.org -all", "permerror" }, { "v=spf1 exists:%{d0}.x.org -all", "permerror" }, { "v=spf1 exists:%{d00}.x.org -all", "permerror" },
        { "v=spf1 exists:%{d128}.x.org -all", "fail" }, { "v=spf1 exists:%{d99999999999}.x.org -all", "fail" }, { "v=spf1 exists:%{d2rr}.x.org -all", "permerror" }, { "v=spf1 exists:%{dr2}.x.org -all", "permerror" },
        { "v=spf1 exists:%{d*}.x.org -all", "permerror" }, { "v=spf1 exists:%{d.-+,/_=}.x.org -all", "fail" }, { "v=spf1 exists:%{c}.x.org -all", "permerror" }, { "v=spf1 exists:%{r}.x.org -all", "permerror" },
        { "v=spf1 exists:%{t}.x.org -all", "permerror" }, { "v=spf1 exists:%{D}.x.org -all", "fail" }, { "v=spf1 exists:%{d2R}.x.org -all", "fail" }, { "v=spf1 exists:%{d}%{d}x -all", "permerror" },
    };

    [Theory]
    [MemberData(nameof(Records))]
    public async Task A_record_says(string record, string result)
    {
        var dns = new ZoneDns(Zone);
        if (record.Length > 0)
            dns.Add("TXT", "example.org", record);
        var found = await new SpfCheck(dns).CheckAsync(
            new SpfQuestion(IPAddress.Parse("192.0.2.1"), "mx.example.org", SpfIdentity.MailFrom, "ann", "example.org"), null, TestContext.Current.CancellationToken);
        Assert.Equal(result, AuthenticationWords.Of(found.Status));
        // Where no term decided, and of errors always, it says why.
        Assert.Equal(result is "permerror" or "temperror" || found.Mechanism.Length == 0, found.Reason.Length > 0);
    }
}
