namespace MailPipeline.Sasl.Tests;

public sealed class SaslMechanismTests
{
    [Theory]
    [InlineData("LOGIN PLAIN", "LOGIN PLAIN")]
    [InlineData(" plain  LOGIN ", "PLAIN LOGIN")]
    [InlineData("PLAIN", "PLAIN")]
    [InlineData("LOGIN PLAIN scram-sha-256", "LOGIN PLAIN SCRAM-SHA-256")]
    [InlineData("xoauth2 OAuthBearer", "XOAUTH2 OAUTHBEARER")]
    [InlineData("scram-sha-256-plus PLAIN", "SCRAM-SHA-256-PLUS PLAIN")]
    [InlineData("SCRAM-SHA-1", null)]
    [InlineData("", null)]
    [InlineData("PLAIN PLAIN", null)]
    [InlineData("PLAIN CRAM-MD5", null)]
    public void Mechanisms_are_named_in_the_order_in_which_they_are_offered(string names, string? offered) =>
        Assert.Equal(offered, SaslMechanism.Named(names) is { } mechanisms ? SaslMechanism.NamesOf(mechanisms) : null);

    [Fact]
    public void What_is_not_offered_is_unknown() =>
        Assert.Equal(SaslAction.UnknownMechanism, SaslExchange.Begin("LOGIN"u8, SaslMechanism.Named("PLAIN")!).Step.Action);

    [Fact]
    public void No_claim_prints_what_is_secret() => Assert.Equal("PasswordClaim", $"{new PasswordClaim("ann", "secret")}");

    [Theory]
    [InlineData("ann@example.org", "ann@example.org")]
    [InlineData("a b", "a b")]
    [InlineData("I\u00ADX", "IX")]
    [InlineData("a\u00A0\u2003b", "a  b")]
    [InlineData("j\u00F6rg", "j\u00F6rg")]
    [InlineData("a\u0007", null)]
    [InlineData("\u00E9\u0085", null)]
    [InlineData("\u00E9\u202E", null)]
    [InlineData("\uE000", null)]
    [InlineData("\uFFFF", null)]
    public void Names_are_prepared_as_far_as_there_are_tables_for_it(string text, string? prepared) =>
        Assert.Equal(prepared, SaslPrep.Prepare(text));
}
