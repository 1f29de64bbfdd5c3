using System.Text;

namespace MailPipeline.Sasl.Tests;

/// <summary>OAUTHBEARER (RFC 7628) and XOAUTH2 from the server's side: what is read out of a client's response, and what it is told who is refused.</summary>
public sealed class TokenTests
{
    private static readonly TokenIssuer s_issuer = new("https://login.example.org/.well-known/openid-configuration", "mail.login");

    [Theory]
    // RFC 7628 §4.1
    [InlineData("OAUTHBEARER", "n,a=user@example.com,|host=server.example.com|port=143|auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==||", "user@example.com", "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==")]
    [InlineData("OAUTHBEARER", "n,,|auth=Bearer a.b-c_d~e+f/g||", "", "a.b-c_d~e+f/g")]
    [InlineData("OAUTHBEARER", "y,a=a=2Cb=3D@example.org,|auth=bearer  x||", "a,b=@example.org", "x")]
    // Who has no token asks where to get one.
    [InlineData("OAUTHBEARER", "n,,|auth=||", "", "")]
    [InlineData("OAUTHBEARER", "n,,|later=x|auth=Bearer x||", "", "x")]
    [InlineData("XOAUTH2", "user=ann@example.org|auth=Bearer x||", "ann@example.org", "x")]
    [InlineData("XOAUTH2", "user=j\u00F6rg@example.org|auth=Bearer x||", "j\u00F6rg@example.org", "x")]
    public void A_response_names_a_user_and_brings_a_token(string mechanism, string response, string name, string token)
    {
        var (exchange, step) = Begin(mechanism, response);
        Assert.Equal(SaslAction.Verify, step.Action);
        Assert.Equal(new TokenClaim(name, token), exchange!.Claim);
        Assert.Equal("TokenClaim", $"{exchange.Claim}");
        Assert.Equal(SaslAction.Done, exchange.Verified().Action);
    }

    [Theory]
    [InlineData("OAUTHBEARER", "")]
    [InlineData("OAUTHBEARER", "|")]
    [InlineData("OAUTHBEARER", "||")]
    [InlineData("OAUTHBEARER", "n,,||")]
    [InlineData("OAUTHBEARER", "n,,|auth=Bearer x|")]
    [InlineData("OAUTHBEARER", "n,,|auth=Bearer x")]
    [InlineData("OAUTHBEARER", "n,,|auth=Bearer||")]
    [InlineData("OAUTHBEARER", "n,,|auth=Basic x||")]
    [InlineData("OAUTHBEARER", "n,,|auth=Bearer x y||")]
    [InlineData("OAUTHBEARER", "n,,|auth=Bearer x\0||")]
    [InlineData("OAUTHBEARER", "n,,|auth=Bearer =x||")]
    [InlineData("OAUTHBEARER", "n,,|auth=Bearer x|auth=Bearer y||")]
    [InlineData("OAUTHBEARER", "n|auth=Bearer x||")]
    [InlineData("OAUTHBEARER", "p=tls-exporter,,|auth=Bearer x||")]
    [InlineData("OAUTHBEARER", "n,a=,|auth=Bearer x||")]
    [InlineData("OAUTHBEARER", "n,a=a=b,|auth=Bearer x||")]
    [InlineData("OAUTHBEARER", "n,a=a\r\nb,|auth=Bearer x||")]
    [InlineData("OAUTHBEARER", "n,a=a,b|auth=Bearer x||")]
    [InlineData("OAUTHBEARER", "user=ann@example.org|auth=Bearer x||")]
    [InlineData("XOAUTH2", "n,,|auth=Bearer x||")]
    [InlineData("XOAUTH2", "user=|auth=Bearer x||")]
    [InlineData("XOAUTH2", "user=a\u0085b|auth=Bearer x||")]
    [InlineData("XOAUTH2", "auth=Bearer x||")]
    public void What_is_no_response_of_the_mechanism_is_malformed(string mechanism, string response) =>
        Assert.Equal(SaslAction.Malformed, Begin(mechanism, response).Step.Action);

    [Theory]
    [InlineData("OAUTHBEARER", "n,,|auth=Bearer x||", "AQ==", """{"status":"invalid_token","scope":"mail.login","openid-configuration":"https://login.example.org/.well-known/openid-configuration"}""")]
    [InlineData("XOAUTH2", "user=ann|auth=Bearer x||", "", """{"status":"401","schemes":"Bearer","scope":"mail.login"}""")]
    public void Who_is_refused_is_told_why_and_fails_with_his_answer(string mechanism, string response, string answer, string told)
    {
        foreach (var said in new[] { answer, "eA==", "!", "*", Convert.ToBase64String(Encoding.UTF8.GetBytes(response.Replace('|', '\x01'))) })
        {
            var exchange = Begin(mechanism, response).Exchange!;
            Assert.False(exchange.IsRejected);
            var step = exchange.Rejected(s_issuer);
            Assert.Equal((SaslAction.Challenge, told), (step.Action, Encoding.UTF8.GetString(Convert.FromBase64String(step.Challenge))));
            Assert.True(exchange.IsRejected);
            Assert.Contains(exchange.Read(Encoding.ASCII.GetBytes(said)).Action, new[] { SaslAction.Refused, SaslAction.Malformed, SaslAction.Cancelled });
        }
    }

    [Fact]
    public void A_response_may_come_in_a_line_of_its_own()
    {
        var (exchange, step) = SaslExchange.Begin("xoauth2"u8, SaslMechanism.All);
        Assert.Equal(SaslStep.Ask([]), step);
        Assert.Equal(SaslAction.Verify, exchange!.Read(Encoding.ASCII.GetBytes(Convert.ToBase64String("user=a\u0001auth=Bearer x\u0001\u0001"u8))).Action);
    }

    [Fact]
    public void Other_mechanisms_have_nothing_to_say_to_who_is_refused()
    {
        var (exchange, _) = SaslExchange.Begin(Encoding.ASCII.GetBytes("PLAIN " + Convert.ToBase64String("\0a\0b"u8)), SaslMechanism.All);
        Assert.Equal(SaslAction.Refused, exchange!.Rejected(s_issuer).Action);
    }

    private static (SaslExchange? Exchange, SaslStep Step) Begin(string mechanism, string response)
    {
        var encoded = response.Length == 0 ? "=" : Convert.ToBase64String(Encoding.UTF8.GetBytes(response.Replace('|', '\x01')));
        return SaslExchange.Begin(Encoding.ASCII.GetBytes($"{mechanism} {encoded}"), SaslMechanism.All);
    }
}
