namespace MailPipeline.Authentication.Tests.Dmarc;

using MailPipeline.Authentication.Dmarc;

/// <summary>Whose a name is, by the list that is built in and by small ones.</summary>
public sealed class PublicSuffixListTests
{
    [Theory]
    [InlineData("example.com", "example.com")]
    [InlineData("a.b.example.com", "example.com")]
    [InlineData("com", "com")]
    [InlineData("example.co.uk", "example.co.uk")]
    [InlineData("mail.example.co.uk", "example.co.uk")]
    [InlineData("co.uk", "co.uk")]
    // A wildcard: everything below ck is a suffix, but for its exception.
    [InlineData("a.b.example.ck", "b.example.ck")]
    [InlineData("b.example.ck", "b.example.ck")]
    [InlineData("example.ck", "example.ck")]
    [InlineData("www.ck", "www.ck")]
    [InlineData("mail.www.ck", "www.ck")]
    // The same one label deeper.
    [InlineData("a.b.c.kobe.jp", "b.c.kobe.jp")]
    [InlineData("c.kobe.jp", "c.kobe.jp")]
    [InlineData("city.kobe.jp", "city.kobe.jp")]
    [InlineData("mail.city.kobe.jp", "city.kobe.jp")]
    [InlineData("mail.example.jp", "example.jp")]
    // The private part.
    [InlineData("ann.github.io", "ann.github.io")]
    [InlineData("x.ann.github.io", "ann.github.io")]
    // What no rule names has its last label for a suffix.
    [InlineData("mail.example.local", "example.local")]
    [InlineData("localhost", "localhost")]
    // In the list as U-labels, asked for as A-labels: 公司.cn.
    [InlineData("a.b.xn--55qx5d.cn", "b.xn--55qx5d.cn")]
    public void Whose_a_name_is(string domain, string organization) => Assert.Equal(organization, PublicSuffixList.BuiltIn.OrganizationOf(domain));

    [Fact]
    public void The_list_that_is_built_in_is_whole() => Assert.InRange(PublicSuffixList.BuiltIn.Count, 9_000, 20_000);

    [Fact]
    public void Comments_and_what_stands_behind_a_rule_are_passed_over()
    {
        using var text = new StringReader("// com\n\n  org  what follows\n*.example\n!our.example\n\u00FC\u0000.wrong\n");
        var list = PublicSuffixList.Read(text);
        Assert.Equal(("b.org", "our.example", "c.b.example"), (list.OrganizationOf("a.b.org"), list.OrganizationOf("a.our.example"), list.OrganizationOf("d.c.b.example")));
        Assert.Equal(3, list.Count);
    }

    [Theory]
    [InlineData("<html>not here</html>", "it has no lines")]
    [InlineData("// ===BEGIN ICANN DOMAINS===\ncom\n// ===END ICANN DOMAINS===\n", "it has 1 rules")]
    public void What_is_no_list_is_not_taken_for_one(string text, string fault) => Assert.StartsWith(fault, PublicSuffixList.FaultOf(text), StringComparison.Ordinal);

    [Fact]
    public void A_list_without_com_is_none() => Assert.StartsWith(
        "it does not say",
        PublicSuffixList.FaultOf($"===BEGIN ICANN DOMAINS===\n{string.Join('\n', Enumerable.Range(0, 6000).Select(i => $"x{i}"))}\n===END ICANN DOMAINS==="),
        StringComparison.Ordinal);
}
