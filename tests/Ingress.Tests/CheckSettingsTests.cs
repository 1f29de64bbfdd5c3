using Microsoft.Extensions.Options;

namespace MailPipeline.Ingress.Tests;

public sealed class CheckSettingsTests
{
    [Theory]
    [InlineData("ClientNetwork:Refused:0", "192.0.2", "Ingress:Checks:ClientNetwork:Refused:0 is '192.0.2'; it must be an IP address or a network such as 192.0.2.0/24")]
    [InlineData("ClientNetwork:Except:0", "192.0.2.1", "Ingress:Checks:ClientNetwork:Except has entries, and Ingress:Checks:ClientNetwork:Refused has none to make an exception of")]
    [InlineData("ClientNetwork:Listeners", "Everywhere", "Ingress:Checks:ClientNetwork:Listeners is 'Everywhere'; it must be one or more of None, Mx, Submission, Lmtp, All, edge (kinds of listeners, and names as of Ingress:Listeners:N:Name)")]
    [InlineData("Authentication:Listeners", "Mx, 1", "Ingress:Checks:Authentication:Listeners is 'Mx, 1'; it must be one or more of None, Mx, Submission, Lmtp, All, edge (kinds of listeners, and names as of Ingress:Listeners:N:Name)")]
    [InlineData("HeaderRules:Listeners", ",", "Ingress:Checks:HeaderRules:Listeners is ','; it must be one or more of None, Mx, Submission, Lmtp, All, edge (kinds of listeners, and names as of Ingress:Listeners:N:Name)")]
    [InlineData("ClientName:Forged", "Drop", "Ingress:Checks:ClientName:Forged is 'Drop'; it must be one of Accept, Tag, Refuse")]
    [InlineData("ClientName:Unqualified", "7", "Ingress:Checks:ClientName:Unqualified is '7'; it must be one of Accept, Tag, Refuse")]
    [InlineData("ClientName:OwnNames:0", "a b", "Ingress:Checks:ClientName:OwnNames:0 is 'a b'; it must be a domain name such as mx.example.org, or an address in brackets")]
    [InlineData("ClientNam:Forged", "Tag", "There is no setting 'Ingress:Checks:ClientNam'; Ingress:Checks has PolicyFile, ClientNetwork, ClientName, LocalSender, OwnSender, OwnAuthor, RelayRecipient, MaildropSpace, Hops, Signatures, HeaderRules, Authentication")]
    [InlineData("LocalSender:Policy", "7", "Ingress:Checks:LocalSender:Policy is '7'; it must be one of Accept, Refuse")]
    [InlineData("MaildropSpace:MaxBytes", "-1", "Ingress:Checks:MaildropSpace:MaxBytes is -1; it must be 0 (no bound) or more")]
    [InlineData("RelayRecipient:WhenAway", "7", "Ingress:Checks:RelayRecipient:WhenAway is '7'; it must be one of Defer, Accept")]
    [InlineData("RelayRecipient:MaxWait", "00:01:00", "Ingress:Checks:RelayRecipient:MaxWait is 00:01:00; it must be 00:00:00.1000000 to 00:00:20")]
    [InlineData("RelayRecipient:RefreshTaken", "32.00:00:00", "Ingress:Checks:RelayRecipient:RefreshTaken is 32.00:00:00; it must be 00:00:01 to 31.00:00:00")]
    [InlineData("RelayRecipient:MaxQuestions", "0", "Ingress:Checks:RelayRecipient:MaxQuestions is 0; it must be 1 to 10000")]
    [InlineData("Hops:Max", "9", "Ingress:Checks:Hops:Max is 9; it must be 10 to 10000")]
    [InlineData("HeaderRules:Rules:0:Fields", "a", "There is no setting 'Ingress:Checks:HeaderRules:Rules:0:Fields'; Ingress:Checks:HeaderRules:Rules:0 has Name, Field, Contains, Verdict, AddField")]
    [InlineData("HeaderRules:Rules:0:Field", "List-Id:", "Ingress:Checks:HeaderRules:Rules:0:Field is 'List-Id:'; it must be the name of a header field such as Subject")]
    [InlineData("HeaderRules:Rules:0:Field", "List-Id", "Ingress:Checks:HeaderRules:Rules:0:Verdict is not set; it must be one of Refuse, Hold, Tag")]
    [InlineData("HeaderRules:Rules:0:Verdict", "Quarantine", "Ingress:Checks:HeaderRules:Rules:0:Verdict is 'Quarantine'; it must be one of Refuse, Hold, Tag")]
    [InlineData("HeaderRules:Rules:0:Name", "a\r\nb", "Ingress:Checks:HeaderRules:Rules:0:Name is 'a\r\nb'; it must be 1 to 40 letters, digits, '-', '.' and '_'")]
    [InlineData("HeaderRules:Rules:0:AddField", "X-A: b\r\nX-B: c", "Ingress:Checks:HeaderRules:Rules:0:AddField is 'X-A: b\r\nX-B: c'; it must be one line such as 'X-Spam-Flag: YES', of printable ASCII and tabs, of at most 998 octets")]
    [InlineData("HeaderRules:Rules:0:AddField", "no field", "Ingress:Checks:HeaderRules:Rules:0:AddField is 'no field'; it must be one line such as 'X-Spam-Flag: YES', of printable ASCII and tabs, of at most 998 octets")]
    [InlineData("HeaderRules:Rules:0:AddField", "X-A: gr\u00fcn", "Ingress:Checks:HeaderRules:Rules:0:AddField is 'X-A: gr\u00fcn'; it must be one line such as 'X-Spam-Flag: YES', of printable ASCII and tabs, of at most 998 octets")]
    [InlineData("HeaderRules:Rules:0:AddField", "X-A: \u001b[2J", "Ingress:Checks:HeaderRules:Rules:0:AddField is 'X-A: \u001b[2J'; it must be one line such as 'X-Spam-Flag: YES', of printable ASCII and tabs, of at most 998 octets")]
    [InlineData("ClientName:OwnNames:0", "example.com", "Ingress:Checks:ClientName:OwnNames has entries, and Ingress:Checks:ClientName:Forged is Accept, so that nobody is asked about them")]
    [InlineData("Authentication:Policy", "On", "Ingress:Checks:Authentication:Policy is 'On'; it must be one of Off, Mark, Enforce")]
    [InlineData("Authentication:MaxTime", "00:05:00", "Ingress:Checks:Authentication:MaxTime is 00:05:00; it must be 100 ms to 2 min")]
    [InlineData("Authentication:MaxQuestions", "0", "Ingress:Checks:Authentication:MaxQuestions is 0; it must be 1 to 10000")]
    [InlineData("Authentication:Spf:Fail", "7", "Ingress:Checks:Authentication:Spf:Fail is '7'; it must be one of Mark, Refuse")]
    [InlineData("Authentication:Dmarc:Discovery", "7", "Ingress:Checks:Authentication:Dmarc:Discovery is '7'; it must be one of PublicSuffixList, TreeWalk")]
    [InlineData("Authentication:Dmarc:ExceptDomains:0", "a b", "Ingress:Checks:Authentication:Dmarc:ExceptDomains:0 is 'a b'; it must be a domain name such as example.org")]
    [InlineData("Authentication:Dmarc:TrustedSealers:0", "[192.0.2.1]", "Ingress:Checks:Authentication:Dmarc:TrustedSealers:0 is '[192.0.2.1]'; it must be a domain name such as example.org")]
    [InlineData("Authentication:Dmarc:ExceptNetworks:0", "192.0.2", "Ingress:Checks:Authentication:Dmarc:ExceptNetworks:0 is '192.0.2'; it must be an IP address or a network such as 192.0.2.0/24")]
    [InlineData("Authentication:Dmarc:PublicSuffixFile", "/dev/null", "Ingress:Checks:Authentication:Dmarc:PublicSuffixFile is '/dev/null', and it has no lines '===BEGIN ICANN DOMAINS===' and '===END ICANN DOMAINS==='; it must be a list as of https://publicsuffix.org, such as 'mail check psl --renew FILE' fetches")]
    public async Task What_is_wrong_is_said_with_its_name(string setting, string value, string expected)
    {
        var failure = await Assert.ThrowsAsync<OptionsValidationException>(
            async () => await IngressHost.StartAsync(new Dictionary<string, string> { [$"Ingress:Checks:{setting}"] = value, ["Ingress:Listeners:2:Name"] = "edge" }));
        Assert.Contains(expected, failure.Failures);
    }

    [Fact]
    public async Task A_field_counts_as_it_is_put_in_front_of_a_message()
    {
        // With the space behind the colon it is an octet longer than a line may be.
        var field = $"X-A:{new string('x', 994)}";
        Assert.Contains(
            $"Ingress:Checks:HeaderRules:Rules:0:AddField is '{field}'; it must be one line such as 'X-Spam-Flag: YES', of printable ASCII and tabs, of at most 998 octets",
            await FailuresAsync(new() { ["Ingress:Checks:HeaderRules:Rules:0:AddField"] = field }));
    }

    [Fact]
    public async Task All_rules_together_may_add_so_much()
    {
        var settings = new Dictionary<string, string>();
        for (var number = 0; number < 17; number++)
        {
            settings[$"Ingress:Checks:HeaderRules:Rules:{number}:Name"] = "a";
            settings[$"Ingress:Checks:HeaderRules:Rules:{number}:Field"] = "Subject";
            settings[$"Ingress:Checks:HeaderRules:Rules:{number}:Verdict"] = "Hold";
            settings[$"Ingress:Checks:HeaderRules:Rules:{number}:AddField"] = $"X-A: {new string('x', 993)}";
        }

        Assert.Equal(
            ["Ingress:Checks:HeaderRules:Rules add 17000 octets of fields to a message that all of them are about; they may add 16384"],
            await FailuresAsync(settings));
    }

    private static async Task<IEnumerable<string>> FailuresAsync(Dictionary<string, string> settings) =>
        (await Assert.ThrowsAsync<OptionsValidationException>(async () => await IngressHost.StartAsync(settings))).Failures;
}
