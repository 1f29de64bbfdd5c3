using System.Text;
using CsCheck;

namespace MailPipeline.Authentication.Tests;

/// <summary>The Authentication-Results field, written and read (RFC 8601).</summary>
public sealed class AuthenticationResultsTests
{
    private static readonly AuthenticationResults s_three = new("mx.example.com",
    [
        new("spf", "pass") { Properties = [new("smtp", "mailfrom", "ann@example.org")] },
        new("dkim", "fail") { Reason = "the body was changed", Properties = [new("header", "d", "example.org"), new("header", "b", "ab/c+12=")] },
        new("dmarc", "pass") { Comment = "p=reject (sp=none)", Properties = [new("header", "from", "example.org"), new("policy", "dmarc", "none")] },
    ]);

    [Fact]
    public void Each_method_has_a_line_of_its_own() => Assert.Equal(
        "Authentication-Results: mx.example.com;\r\n"
        + "\tspf=pass smtp.mailfrom=ann@example.org;\r\n"
        + "\tdkim=fail reason=\"the body was changed\" header.d=example.org\r\n"
        + "\theader.b=\"ab/c+12=\";\r\n"
        + "\tdmarc=pass (p=reject \\(sp=none\\)) header.from=example.org policy.dmarc=none\r\n", s_three.ToString());

    [Fact]
    public void Nothing_judged_is_said_too() => Assert.Equal("Authentication-Results: mx.example.com; none\r\n", new AuthenticationResults("mx.example.com", []).ToString());

    [Theory]
    [InlineData("ann@example.org", "ann@example.org")]
    [InlineData("@example.org", "@example.org")]
    [InlineData("example.org", "example.org")]
    [InlineData("a b@example.org", "\"a b@example.org\"")]
    [InlineData("\"a b\"@example.org", "\"\\\"a b\\\"@example.org\"")]
    [InlineData("a@b@example.org", "\"a@b@example.org\"")]
    [InlineData("x;y@example.org", "\"x;y@example.org\"")]
    [InlineData("2001:db8::1", "\"2001:db8::1\"")]
    [InlineData("", "\"\"")]
    [InlineData("gr\u00FC\u00DFe@example.org", "\"gr??e@example.org\"")]
    [InlineData("a\r\nX: y", "\"a??X: y\"")]
    public void A_value_is_quoted_where_it_is_no_token_and_no_address(string value, string written) => Assert.EndsWith(
        $"smtp.mailfrom={written}\r\n",
        new AuthenticationResults("mx.example.com", [new("spf", "none") { Properties = [new("smtp", "mailfrom", value)] }]).ToString(), StringComparison.Ordinal);

    // RFC 8601, appendix B, and what others write.
    [Theory]
    [InlineData("example.org 1; none", "example.org:")]
    [InlineData("example.com;\r\n spf=pass smtp.mailfrom=example.net", "example.com: spf=pass smtp.mailfrom=example.net")]
    [InlineData("example.com;\r\n auth=pass (cram-md5) smtp.auth=sender@example.net;\r\n spf=pass smtp.mailfrom=example.net", "example.com: auth=pass smtp.auth=sender@example.net spf=pass smtp.mailfrom=example.net")]
    [InlineData("example.com; sender-id=fail header.from=example.com; dkim=pass (good signature) header.d=example.com", "example.com: sender-id=fail header.from=example.com dkim=pass header.d=example.com")]
    [InlineData("example.com; dkim=pass reason=\"good signature\"\r\n header.i=@mail-router.example.net; dkim=fail reason=\"bad signature\" header.i=@newyork.example.com", "example.com: dkim=pass reason=good signature header.i=@mail-router.example.net dkim=fail reason=bad signature header.i=@newyork.example.com")]
    [InlineData("foo.example.net (foobar) 1 (baz);\r\n dkim (Because I like it) / 1 (One yay) = (wait for it) fail\r\n policy (A dot can go here) . (like that) expired\r\n (this surprised me) = (as I wasn't expecting it) 1362471462", "foo.example.net: dkim=fail policy.expired=1362471462")]
    [InlineData("\"mx example\"; spf=pass smtp.mailfrom=\"a b\"@example.net", "mx example: spf=pass smtp.mailfrom=a b@example.net")]
    [InlineData("mx.example.com; dkim=pass header.d=example.org header.b=ab/c+12=; dmarc=pass;", "mx.example.com: dkim=pass header.d=example.org header.b=ab/c+12= dmarc=pass")]
    [InlineData("MX.example.com ; SPF=Pass", "MX.example.com: spf=pass")]
    [InlineData("mx.example.com", null)]
    [InlineData("mx.example.com;", null)]
    [InlineData("; spf=pass", null)]
    [InlineData("", null)]
    [InlineData("mx.example.com; spf", null)]
    [InlineData("mx.example.com; spf=", null)]
    [InlineData("mx.example.com; spf=pass smtp", null)]
    [InlineData("mx.example.com; spf=pass smtp.mailfrom", null)]
    [InlineData("mx.example.com; spf=pass (", null)]
    [InlineData("mx.example.com; spf=pass smtp.mailfrom=\"a", null)]
    [InlineData("mx.example.com spf=pass", null)]
    [InlineData("mx.example.com; none; spf=pass", null)]
    public void A_field_is_read(string value, string? read) => Assert.Equal(read, AuthenticationResults.Parse(value) is { } field
        ? $"{field.AuthServId}:{string.Concat(field.Results.Select(result => $" {result.Method}={result.Result}{(result.Reason.Length > 0 ? $" reason={result.Reason}" : "")}{string.Concat(result.Properties.Select(property => $" {property.Type}.{property.Name}={property.Value}"))}"))}"
        : null);

    [Theory]
    [InlineData("mx.example.com; spf=???", "mx.example.com")]
    [InlineData(" (x) \"mx.example.com\"; anything", "mx.example.com")]
    [InlineData("mx.example.com", "mx.example.com")]
    [InlineData("(unended mx.example.com; x", null)]
    [InlineData("", null)]
    public void Who_speaks_is_found_in_fields_that_are_wrong_behind_it(string value, string? id) => Assert.Equal(id, AuthenticationResults.FindAuthServId(value));

    [Fact]
    public void What_is_written_is_read_as_the_same() => Gen.Select(Gen.String, Gen.String[Gen.Char[' ', '~'], 0, 60], Gen.OneOfConst("pass", "fail", "none")).Sample((any, plain, word) =>
    {
        var written = new AuthenticationResults("mx.example.com", [new("spf", word) { Comment = any, Reason = plain, Properties = [new("smtp", "mailfrom", plain), new("smtp", "helo", any)] }]).ToString();
        Assert.True(Ascii.IsValid(written));
        Assert.All(written[..^2].Split("\r\n"), line => Assert.InRange(line.Length, 1, 998));
        var read = AuthenticationResults.Parse(written[(AuthenticationResults.FieldName.Length + 1)..]);
        Assert.Equal(("mx.example.com", "spf", word, plain), (read?.AuthServId, read?.Results[0].Method, read?.Results[0].Result, read?.Results[0].Reason));
        Assert.Equal(plain, read!.Results[0].Properties[0].Value);
    });

    [Fact]
    public void Nothing_that_is_read_throws() => Gen.Select(Gen.String, Gen.String[Gen.Char[' ', '~'], 0, 80]).Sample((any, plain) =>
    {
        foreach (var text in new[] { any, plain, $"mx.example.com; {plain}", $"mx; spf=pass {any}", $"mx; spf=pass smtp.{plain}", new string('(', 10_000) + any })
        {
            AuthenticationResults.Parse(text);
            AuthenticationResults.FindAuthServId(text);
        }
    });
}
