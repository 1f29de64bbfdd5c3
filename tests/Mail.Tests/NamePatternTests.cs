namespace MailPipeline.Mail.Tests;

/// <summary>Names as rules ask for them.</summary>
public sealed class NamePatternTests
{
    [Theory]
    [InlineData("example.org", "example.org", true)]
    [InlineData("Example.ORG.", "example.org", true)]
    [InlineData("example.org", "sub.example.org", false)]
    [InlineData("*.example.org", "sub.example.org", true)]
    [InlineData("*.example.org", "a.sub.example.org", true)]
    [InlineData("*.example.org", "example.org", false)]
    [InlineData("*.example.org", "badexample.org", false)]
    [InlineData("*", "example.org", true)]
    [InlineData("*", "", false)]
    [InlineData("bücher.example", "xn--bcher-kva.example", true)]
    [InlineData("*.BÜCHER.example", "sub.xn--bcher-kva.example", true)]
    [InlineData("xn--bcher-kva.example", "xn--bcher-kva.example", true)]
    public void A_domain_fits(string typed, string domain, bool fits)
    {
        Assert.True(NamePattern.TryParseDomain(typed, out var pattern));
        Assert.Equal(fits, pattern.FitsDomain(domain));
    }

    [Theory]
    [InlineData("ann@example.org", "ANN@Example.org", true)]
    [InlineData("<ann@example.org>", "ann@example.org", true)]
    [InlineData("ann@example.org", "bob@example.org", false)]
    [InlineData("*@example.org", "bob@example.org", true)]
    [InlineData("*@example.org", "bob@sub.example.org", false)]
    [InlineData("example.org", "bob@example.org", true)]
    [InlineData("*.example.org", "bob@sub.example.org", true)]
    [InlineData("*", "bob@example.org", true)]
    [InlineData("*", "", false)]
    [InlineData("<>", "", true)]
    [InlineData("<>", "bob@example.org", false)]
    [InlineData("ann@bücher.example", "ann@xn--bcher-kva.example", true)]
    public void An_address_fits(string typed, string address, bool fits)
    {
        Assert.True(NamePattern.TryParseAddress(typed, out var pattern, allowsNull: true));
        Assert.Equal(fits, pattern.FitsAddress(address));
    }

    [Theory]
    [InlineData("mx1.example.net", true)]
    [InlineData("*.example.net", true)]
    [InlineData("mx2.example.net", true)]
    [InlineData("192.0.2.1", true)]
    [InlineData("mx3.example.net", false)]
    [InlineData("*", true)]
    public void Any_host_of_a_site_fits(string typed, bool fits)
    {
        Assert.True(NamePattern.TryParseDomain(typed, out var pattern));
        Assert.Equal(fits, pattern.FitsSite("192.0.2.1:2525,mx1.example.net,mx2.example.net:26"));
        Assert.False(pattern.FitsSite(""));
    }

    [Theory]
    [InlineData("")]
    [InlineData("*.")]
    [InlineData("example..org")]
    [InlineData("example.org..")]
    [InlineData("*example.org")]
    [InlineData("a.*.example.org")]
    [InlineData("ann@")]
    [InlineData("*@*.example.org")]
    [InlineData("a b@example.org")]
    public void What_is_none_is_refused(string typed) => Assert.False(NamePattern.TryParseAddress(typed, out _));
}
