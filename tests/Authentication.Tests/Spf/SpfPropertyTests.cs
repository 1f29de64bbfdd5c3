using System.Net;
using CsCheck;
using MailPipeline.Authentication.Spf;

namespace MailPipeline.Authentication.Tests.Spf;

/// <summary>What holds whatever is published and whoever asks.</summary>
public sealed class SpfPropertyTests
{
    private static readonly Gen<string> s_term = Gen.OneOf(
        Gen.OneOfConst(
            "a", "mx", "ptr", "all", "-all", "~all", "?all", "include:a.example.org", "include:b.example.org", "redirect=b.example.org", "exp=b.example.org",
            "exists:%{ir}.%{l1r-}.%{d2}", "ip4:192.0.2.0/24", "ip6:2001:db8::/32", "a:%{p}.x.org/24//64", "mx:b.example.org//64", "moo=%{s}", "%{", "a:%{d999}", "ip4:"),
        Gen.String[Gen.Char[' ', '~'], 0, 12], Gen.String);

    private static readonly Gen<string> s_record = s_term.Array[0, 8].Select(terms => $"v=spf1 {string.Join(' ', terms)}");

    [Fact]
    public async Task Any_record_has_a_result_within_the_bounds() =>
        await Gen.Select(s_record, s_record, Gen.String, Gen.String[Gen.Char['!', '~'], 1, 40], Gen.Bool).SampleAsync(async (first, second, local, helo, isIPv6) =>
        {
            var dns = new ZoneDns("""
                example.org A 192.0.2.1
                example.org MX 10 a.example.org
                a.example.org A 198.51.100.1
                1.2.0.192.in-addr.arpa PTR a.example.org
                """);
            dns.Add("TXT", "example.org", first);
            dns.Add("TXT", "a.example.org", second);
            dns.Add("TXT", "b.example.org", first);
            var client = IPAddress.Parse(isIPv6 ? "2001:db8::1" : "192.0.2.1");
            var steps = new List<SpfStep>();
            var found = await new SpfCheck(dns).CheckAsync(
                new SpfQuestion(client, helo, SpfIdentity.MailFrom, local, "example.org"), steps, CancellationToken.None);
            Assert.Contains(found.Status, new[]
            {
                AuthenticationStatus.Neutral, AuthenticationStatus.Pass, AuthenticationStatus.Fail, AuthenticationStatus.SoftFail, AuthenticationStatus.PermanentError,
            });
            // Ten terms, each with a record, and the hosts of a few mx and ptr.
            Assert.InRange(dns.Questions.Count, 1, 130);
            Assert.InRange(found.Explanation.Length, 0, SpfLimits.MaxExplanationBytes);
            Assert.DoesNotContain(found.Explanation, character => character is < ' ' or > '~');
            Assert.InRange(steps.Count, 1, 60);
        }, iter: 2_000);

    [Fact]
    public void Any_text_is_a_macro_string_or_none() => Gen.Select(Gen.String, s_term, Gen.OneOfConst(SpfMacroPlace.Domain, SpfMacroPlace.Modifier, SpfMacroPlace.Explanation)).Sample((text, term, place) =>
    {
        foreach (var one in new[] { text, term, $"%{{{text}}}", $"{term}%{{d}}" })
        {
            if (SpfMacro.Parse(one, place) is not { } macro)
                continue;
            Assert.NotNull(macro.ToText(letter => $"{letter}.{text}"));
            Assert.InRange(macro.ToName(letter => new string(letter, 300)).Length, 0, 253);
        }
    });
}
