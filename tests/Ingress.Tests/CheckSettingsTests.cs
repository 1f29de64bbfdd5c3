using Microsoft.Extensions.Options;

namespace MailPipeline.Ingress.Tests;

public sealed class CheckSettingsTests
{
    [Theory]
    [InlineData("ClientNetwork:Refused:0", "192.0.2", "Ingress:Checks:ClientNetwork:Refused:0 is '192.0.2'; it must be an IP address or a network such as 192.0.2.0/24")]
    [InlineData("ClientNetwork:Except:0", "192.0.2.1", "Ingress:Checks:ClientNetwork:Except has entries, and Ingress:Checks:ClientNetwork:Refused has none to make an exception of")]
    [InlineData("ClientNetwork:Listeners", "Everywhere", "Ingress:Checks:ClientNetwork:Listeners is 'Everywhere'; it must be one of None, Mx, Submission, All")]
    [InlineData("ClientName:Forged", "Drop", "Ingress:Checks:ClientName:Forged is 'Drop'; it must be one of Accept, Tag, Refuse")]
    [InlineData("ClientName:Unqualified", "7", "Ingress:Checks:ClientName:Unqualified is '7'; it must be one of Accept, Tag, Refuse")]
    [InlineData("ClientName:OwnNames:0", "a b", "Ingress:Checks:ClientName:OwnNames:0 is 'a b'; it must be a domain name such as mx.example.org, or an address in brackets")]
    [InlineData("ClientNam:Forged", "Tag", "There is no setting 'Ingress:Checks:ClientNam'; Ingress:Checks has ClientNetwork, ClientName, HeaderRules")]
    [InlineData("HeaderRules:Rules:0:Fields", "a", "There is no setting 'Ingress:Checks:HeaderRules:Rules:0:Fields'; Ingress:Checks:HeaderRules:Rules:0 has Name, Field, Contains, Verdict, AddField")]
    [InlineData("HeaderRules:Rules:0:Field", "List-Id:", "Ingress:Checks:HeaderRules:Rules:0:Field is 'List-Id:'; it must be the name of a header field such as Subject")]
    [InlineData("HeaderRules:Rules:0:Field", "List-Id", "Ingress:Checks:HeaderRules:Rules:0:Verdict is not set; it must be one of Refuse, Hold, Tag")]
    [InlineData("HeaderRules:Rules:0:Verdict", "Quarantine", "Ingress:Checks:HeaderRules:Rules:0:Verdict is 'Quarantine'; it must be one of Refuse, Hold, Tag")]
    [InlineData("HeaderRules:Rules:0:Name", "a\r\nb", "Ingress:Checks:HeaderRules:Rules:0:Name is 'a\r\nb'; it must be 1 to 40 letters, digits, '-', '.' and '_'")]
    [InlineData("HeaderRules:Rules:0:AddField", "X-A: b\r\nX-B: c", "Ingress:Checks:HeaderRules:Rules:0:AddField is 'X-A: b\r\nX-B: c'; it must be one line such as 'X-Spam-Flag: YES'")]
    [InlineData("HeaderRules:Rules:0:AddField", "no field", "Ingress:Checks:HeaderRules:Rules:0:AddField is 'no field'; it must be one line such as 'X-Spam-Flag: YES'")]
    public async Task What_is_wrong_is_said_with_its_name(string setting, string value, string expected)
    {
        var failure = await Assert.ThrowsAsync<OptionsValidationException>(
            async () => await IngressHost.StartAsync(new Dictionary<string, string> { [$"Ingress:Checks:{setting}"] = value }));
        Assert.Contains(expected, failure.Failures);
    }
}
