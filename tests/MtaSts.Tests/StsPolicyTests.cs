namespace MailPipeline.MtaSts.Tests;

/// <summary>The forms of MTA-STS: the record, the policy, and which hosts it names (RFC 8461 §3, §4.1).</summary>
public sealed class StsPolicyTests
{
    private const string Right = "version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.example.net\r\nmx: backupmx.example.com\r\nmax_age: 604800\r\n";

    [Theory]
    // RFC 8461 §3.1, §3.2.
    [InlineData("v=STSv1; id=20160831085700Z;", "20160831085700Z")]
    [InlineData("v=STSv1;id=1", "1")]
    [InlineData("v=STSv1 ; id=1 ; more=2 ;", "1")]
    [InlineData("v=STSv1; more=2; id=abc", "abc")]
    [InlineData("v=STSv1; id=1; id=2", "1")]
    [InlineData("v=STSv1; id=123456789012345678901234567890123", null)]
    [InlineData("v=STSv1; id=", null)]
    [InlineData("v=STSv1; id=a-b", null)]
    [InlineData("v=STSv1; id", null)]
    [InlineData("v=STSv1", null)]
    [InlineData("v=STSv10; id=1", null)]
    [InlineData("v=STSv2; id=1", null)]
    [InlineData(" v=STSv1; id=1", null)]
    [InlineData("v=spf1 -all", null)]
    [InlineData("", null)]
    public void The_id_of_a_record(string text, string? id)
    {
        Assert.Equal(id, StsRecord.IdIn([text]));
        Assert.Equal(id, StsRecord.IdIn(["v=spf1 -all", text, ""]));
    }

    [Fact]
    public void Two_records_are_none() => Assert.Null(StsRecord.IdIn(["v=STSv1; id=1", "v=STSv1; id=1"]));

    [Fact]
    public void A_policy_is_read_whatever_the_order_of_its_fields()
    {
        Assert.True(StsPolicy.TryParse(Right, "7", out var policy, out _));
        Assert.Equal(("7", StsMode.Enforce, TimeSpan.FromDays(7)), (policy.Id, policy.Mode, policy.MaxAge));
        Assert.Equal(["mail.example.com", "*.example.net", "backupmx.example.com"], policy.Patterns);
        string[] turned = [.. Right.Split("\r\n", StringSplitOptions.RemoveEmptyEntries).Reverse()];
        Assert.True(StsPolicy.TryParse(string.Join('\n', turned), "7", out var other, out _));
        Assert.Equal(policy.MaxAge, other.MaxAge);
        // What is kept is read again as the same.
        Assert.True(StsPolicy.TryParse(policy.Text, "7", out var again, out _));
        Assert.Equal(policy, again);
    }

    [Theory]
    [InlineData("mode: enforce", "mode: enforce\nmode: none\nversion: STSv2", "Enforce")]
    [InlineData("mode: enforce", "mode:testing", "Testing")]
    [InlineData("mode: enforce", "mode: none", "None")]
    [InlineData("mode: enforce", "mode: enforce  \t", "Enforce")]
    [InlineData("mode: enforce", "mode: enforce\nx-more: of it", "Enforce")]
    [InlineData("max_age: 604800", "max_age: 9999999999", "Enforce")]
    [InlineData("max_age: 604800", "max_age: 604800\nmax_age: 1", "Enforce")]
    public void What_a_policy_may_say_besides(string replaced, string by, string mode)
    {
        Assert.True(StsPolicy.TryParse(Right.Replace(replaced, by, StringComparison.Ordinal), "7", out var policy, out _));
        Assert.Equal(mode, policy.Mode.ToString());
        Assert.InRange(policy.MaxAge, TimeSpan.FromDays(7), TimeSpan.FromSeconds(31_557_600));
    }

    [Theory]
    [InlineData("version: STSv1", "version: STSv2")]
    [InlineData("version: STSv1\r\n", "")]
    [InlineData("mode: enforce", "mode: Enforce")]
    [InlineData("mode: enforce\r\n", "")]
    [InlineData("max_age: 604800", "max_age: soon")]
    [InlineData("max_age: 604800", "max_age: -1")]
    [InlineData("max_age: 604800", "max_age: 10000000000")]
    [InlineData("max_age: 604800\r\n", "")]
    [InlineData("mx: mail.example.com\r\nmx: *.example.net\r\nmx: backupmx.example.com\r\n", "")]
    [InlineData("mx: mail.example.com", "mx: mail.*.example.com")]
    [InlineData("mx: mail.example.com", "mx: *")]
    [InlineData("mx: mail.example.com", "mx: 192.0.2.1:25")]
    [InlineData("mx: mail.example.com", "mx:")]
    [InlineData("mx: mail.example.com", "no field at all")]
    [InlineData("mx: mail.example.com", ": nothing")]
    [InlineData("mx: mail.example.com", "mx : mail.example.com")]
    [InlineData("mx: mail.example.com", "<html>: mail.example.com")]
    [InlineData("mx: mail.example.com", "mx: mail\0.example.com")]
    public void What_is_no_policy(string replaced, string by)
    {
        Assert.False(StsPolicy.TryParse(Right.Replace(replaced, by, StringComparison.Ordinal), "7", out _, out var error));
        Assert.NotEmpty(error);
    }

    [Theory]
    [InlineData("mail.example.com", true)]
    [InlineData("MAIL.Example.COM.", true)]
    [InlineData("a.example.net", true)]
    [InlineData("example.net", false)]
    [InlineData("a.b.example.net", false)]
    [InlineData("aexample.net", false)]
    [InlineData(".example.net", false)]
    [InlineData("other.example.com", false)]
    [InlineData("", false)]
    public void A_wildcard_stands_for_one_label(string host, bool isNamed)
    {
        Assert.True(StsPolicy.TryParse(Right, "7", out var policy, out _));
        Assert.Equal(isNamed, policy.Names(host));
    }
}
