using MailPipeline.Delivery.Tls;

namespace MailPipeline.Delivery.Tests;

/// <summary>The operator's policies by domain: the most specific counts, and what cannot be is said.</summary>
public sealed class TlsTableTests
{
    [Theory]
    [InlineData("example.org", "Verified")]
    [InlineData("EXAMPLE.ORG", "Verified")]
    [InlineData("a.example.org", "None")]
    [InlineData("a.b.example.org", "None")]
    [InlineData("own.b.example.org", "Required")]
    [InlineData("x.own.b.example.org", "Sts")]
    [InlineData("example.net", "Opportunistic")]
    [InlineData("xn--bcher-kva.example", "Dane")]
    public void The_most_specific_counts(string domain, string policy)
    {
        var table = Parse("example.org=Verified, *.example.org=None *=Opportunistic, own.b.example.org=required, *.own.b.example.org=Sts, b\u00fccher.example=Dane");
        Assert.Empty(table.Errors);
        Assert.Equal((policy, TlsSource.Table), (table.Find(domain)?.Policy.ToString(), table.Find(domain)?.Source));
    }

    [Fact]
    public void Without_a_row_nothing_is_said() => Assert.Null(Parse("example.org=Verified").Find("example.net"));

    [Fact]
    public void Names_may_stand_behind_Verified() =>
        Assert.Equal(["mx.example.org", "example.org"], Parse("example.org=Verified:mx.example.org:example.org").Find("example.org")!.Names);

    [Theory]
    [InlineData("example.org", "must be domain=policy")]
    [InlineData("example.org=Sometimes", "'Sometimes'; it must be one of Opportunistic, None, Required, Verified, Dane, Sts, OpportunisticDane")]
    [InlineData("example.org=3", "must be one of")]
    [InlineData("example.org=Required:mx.example.org", "names may stand behind Verified alone")]
    [InlineData("example.org=Verified:mx..example.org", "'mx..example.org' is no name")]
    [InlineData("example.org=Verified:[192.0.2.1]", "is no name")]
    [InlineData("exa mple..org=None", "is no domain")]
    [InlineData("*.=None", "is no domain")]
    [InlineData("mail.*.example.org=None", "is no domain")]
    public void What_cannot_be_is_said(string text, string error)
    {
        var table = Parse(text);
        Assert.Contains(table.Errors, said => said.StartsWith("Delivery:TlsDomains", StringComparison.Ordinal) && said.Contains(error, StringComparison.Ordinal));
    }

    private static TlsTable Parse(string text) => TlsTable.Parse(new Dictionary<string, string> { ["0"] = text });
}
