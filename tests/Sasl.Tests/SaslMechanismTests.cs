namespace MailPipeline.Sasl.Tests;

public sealed class SaslMechanismTests
{
    [Theory]
    [InlineData("LOGIN PLAIN", "LOGIN PLAIN")]
    [InlineData(" plain  LOGIN ", "PLAIN LOGIN")]
    [InlineData("PLAIN", "PLAIN")]
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
}
